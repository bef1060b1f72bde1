import type { Addon, Preload } from "../lib/native.ts";

/** The package's own folder. */
export const root: string;
export function series(): string[];
export function loadPreload(): Preload;
export function loadAddon(series: string): Addon;
