#!/usr/bin/env node
// What prebuildify calls as node-gyp: it has cmake-js compile, and puts one addon where prebuildify looks for it. What
// node-gyp would be told of Node's version does not matter to an addon of Node-API.
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
