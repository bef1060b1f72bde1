import { existsSync } from "node:fs";
import path from "node:path";
import { AttentionBypassError } from "../errors/errors.js";
import { modelCache } from "../hub/cache.js";
import { download } from "../hub/download.js";
import type { HubOptions } from "../hub/options.js";
import { removeRevision } from "../hub/remove.js";
import { listRevisions, resolveRevision, weightFiles } from "../hub/revisions.js";
import { resolveSettings } from "../hub/settings.js";
import type { OperationOptions } from "../operation/operation.js";
import type { Checkpoint, Checkpoints } from "./checkpoints.js";

/** The checkpoints of a model on the hub: its branches, tags and commits. */
export class HubCheckpoints implements Checkpoints {
  /** The commits of the listed revisions. */
  readonly #listed = new Map<string, string>();

  constructor(
    private readonly id: string,
    private readonly options: Omit<HubOptions, "revision">,
    /** Whether downloads stay in the cache, which then finds them by name too. */
    private readonly keep: boolean,
  ) {}

  async list({ signal }: OperationOptions): Promise<string[]> {
    for (const { name, commit } of await listRevisions(this.id, { ...this.options, signal })) {
      this.#listed.set(name, commit);
    }
    return [...this.#listed.keys()];
  }

  async find(name: string, { signal }: OperationOptions): Promise<Checkpoint> {
    const options = { ...this.options, signal };
    const commit = this.#listed.get(name) ?? (await resolveRevision(this.id, name, options)).commit;
    const weights = await weightFiles(this.id, commit, options);
    if (weights.length > 0) return { name, commit, weights };
    throw new AttentionBypassError(
      "WEIGHTS_MISSING",
      `expected weights in the revision ${name} of ${this.id} but it has none; leave it out of options.revisions`,
    );
  }

  async isAbsent({ commit = "" }: Checkpoint): Promise<boolean> {
    return !existsSync(path.join(modelCache(await resolveSettings(this.options), this.id).snapshots, commit));
  }

  async fetch({ name, commit = "" }: Checkpoint, { signal, onProgress }: OperationOptions): Promise<string> {
    const revision = this.keep ? name : commit;
    const folder = await download(this.id, { ...this.options, revision, signal, onProgress });
    if (path.basename(folder) === commit) return folder;
    throw new AttentionBypassError(
      "DOWNLOAD_FAILED",
      `expected ${name} of ${this.id} at commit ${commit} but it has changed since this call began; repeat the call`,
    );
  }

  async remove({ commit = "" }: Checkpoint): Promise<void> {
    await removeRevision(this.id, commit, this.options);
  }
}
