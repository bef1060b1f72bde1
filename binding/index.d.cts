import type { Addon, Preload } from "../lib/addon/native.ts";

/** The package's folder. */
export const root: string;
export function series(): string[];
export function loadPreload(): Preload;
export function loadAddon(series: string): Addon;
