/** Names of the files of a checkpoint, and the directory in which they are stored. */
import * as TinkerPath from "@effect-tinker/api/TinkerPath"

/** @internal */
export const adapterFile = "adapter_model.safetensors"
/** @internal */
export const configFile = "adapter_config.json"
/** @internal */
export const optimizerFile = "optimizer.safetensors"
/** @internal */
export const infoFile = "checkpoint.json"

/** The directory of the files that are being uploaded. @internal */
export const uploadsDirectory = ".uploads"

/** Names of temporary directories start with it; then follow the process that uses it, a `.` and random letters. @internal */
export const temporaryPrefix = ".draft-"

/** The process that uses a temporary directory; `undefined` if it has no name, or the directory is not one. @internal */
export const instanceOfTemporary = (name: string): string | undefined =>
  name.startsWith(temporaryPrefix) ? /^([0-9a-f-]{36})\./.exec(name.slice(temporaryPrefix.length))?.[1] : undefined
/** The directory in a temporary directory that holds the checkpoint about to be replaced. @internal */
export const replacedDirectory = "old"

const safeRunId = /^[A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,254}$/

// not every file system allows a `:` in names
const directoryOfRun = (run: string): string | undefined =>
  safeRunId.test(run) ? run.replaceAll(":", "%3A") : undefined

/** The training run whose checkpoints a directory holds. @internal */
export const runOfDirectory = (directory: string): string | undefined => {
  const run = directory.replaceAll("%3A", ":")
  return safeRunId.test(run) ? run : undefined
}

/**
 * The segments of a checkpoint's directory. Clients choose the run and the name: `undefined` if either could lead out of
 * the store.
 *
 * @internal
 */
export const segmentsOf = ({
  kind,
  name,
  training_run_id
}: TinkerPath.TinkerPath): readonly [run: string, kind: string, name: string] | undefined => {
  const run = directoryOfRun(training_run_id)
  return run === undefined || !TinkerPath.isCheckpointName(name) ? undefined : [run, kind, name]
}
