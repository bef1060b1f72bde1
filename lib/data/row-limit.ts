/** The most rows that are read from one file, so that a small file can't fill the memory with empty rows. */
export const mostRows = 2 ** 22;
