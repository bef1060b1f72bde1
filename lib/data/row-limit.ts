/** The most rows that are read of one file, so that a small one can't fill memory with empty rows. */
export const mostRows = 2 ** 22;
