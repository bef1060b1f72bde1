/**
 * A weights file, as identified when its header was read. Later reads compare these values, so that a changed file is
 * noticed.
 */
export interface FileIdentity {
  path: string;
  device: bigint;
  inode: bigint;
  /** The size in bytes. */
  size: bigint;
  /** The time of the last modification, in nanoseconds since 1970. */
  modified: bigint;
}
