#!/usr/bin/env node
// Replaces node-gyp for prebuildify: compiles with cmake-js and copies one addon to the folder where prebuildify looks for it.
// Ignores the arguments about the version of Node.js, because Node-API addons do not depend on it.
import { cpSync, mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { addonFolder, compileAddons, preloadFolder } from "./compile.mjs";

const root = path.join(import.meta.dirname, "..");
const { libtorch, series, addon } = JSON.parse(process.env.ATTENTION_BYPASS_PREBUILD);
const status = compileAddons(libtorch, series);
if (status !== 0) process.exit(status);
const folder = addon === "preload" ? preloadFolder : addonFolder(series);
const output = path.join(root, "build", "Release");
rmSync(output, { recursive: true, force: true });
mkdirSync(output, { recursive: true });
cpSync(path.join(folder, "build", "Release", `${addon}.node`), path.join(output, `${addon}.node`));
