export function referencePython(): string | undefined;
