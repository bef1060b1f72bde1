/** A file with weights and what identified it when its header was read. Whoever reads it later checks that it is the same. */
export interface FileIdentity {
  path: string;
  device: bigint;
  inode: bigint;
  /** In bytes. */
  size: bigint;
  /** The time of the last modification, in nanoseconds since 1970. */
  modified: bigint;
}
