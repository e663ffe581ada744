/** Table cells about a checkpoint. */
import type * as Checkpoint from "@effect-tinker/api/Checkpoint"
import * as format from "../terminal/format.ts"

/** When it expires, relative to now. @internal */
export const expires = (checkpoint: Checkpoint.Checkpoint, now: number): string =>
  checkpoint.expires_at === undefined ? "Never" : format.relative(checkpoint.expires_at, now)

/** @internal */
export const sizeOf = (checkpoint: Checkpoint.Checkpoint): string =>
  checkpoint.size_bytes === undefined ? "N/A" : format.size(checkpoint.size_bytes)
