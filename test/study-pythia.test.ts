// Memorization of the trained Pythia model; a file for each model, so that the two run side by side.
import { testStudy } from "./support/study.ts";

testStudy("pythia-study");
