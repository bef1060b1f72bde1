import type { Span } from "./result.js";

/** Returns the part of a span inside another one that overlaps it. */
function clip(span: Span, outer: Span): Span {
  const first = span.tokenBegin < outer.tokenBegin ? outer : span;
  const last = span.tokenEnd > outer.tokenEnd ? outer : span;
  return {
    tokenBegin: first.tokenBegin,
    tokenEnd: last.tokenEnd,
    ...(first.begin !== undefined && { begin: first.begin }),
    ...(last.end !== undefined && { end: last.end }),
  };
}

/**
 * Returns a function that returns the parts of ascending spans inside another span. It must be called with ascending
 * spans too.
 */
export function partsInside(spans: readonly Span[]): (outer: Span) => Span[] {
  let from = 0;
  return (outer) => {
    while ((spans[from]?.tokenEnd ?? Number.POSITIVE_INFINITY) <= outer.tokenBegin) from++;
    const parts: Span[] = [];
    for (let index = from; index < spans.length; index++) {
      const span = spans[index] as Span;
      if (span.tokenBegin >= outer.tokenEnd) break;
      parts.push(clip(span, outer));
    }
    return parts;
  };
}

/** Returns the size of spans together. */
export function sizeOf(spans: readonly Span[]): { tokens: number; characters: number } {
  return {
    tokens: spans.reduce((sum, { tokenBegin, tokenEnd }) => sum + tokenEnd - tokenBegin, 0),
    characters: spans.reduce((sum, { begin = 0, end = 0 }) => sum + end - begin, 0),
  };
}
