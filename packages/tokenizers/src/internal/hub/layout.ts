/** Where things stand in the cache of the Python libraries: `blobs`, `snapshots`, `refs` and `.no_exist` per repository. */
import type { Disk } from "./disk.ts"
import type { Target } from "./model.ts"

const repositoryDirectory = ({ path }: Disk, { kind, options, repo }: Target): string =>
  path.join(options.cache, `${kind}s--${repo.replaceAll("/", "--")}`)

/** The directory with the files of a commit. @internal */
export const snapshotDirectory = (disk: Disk, target: Target, commit: string): string =>
  disk.path.join(repositoryDirectory(disk, target), "snapshots", commit)

/** The file that names the commit of a branch or tag. @internal */
export const refFile = (disk: Disk, target: Target): string =>
  disk.path.join(repositoryDirectory(disk, target), "refs", ...target.revision.split("/"))

/** The directory with the contents of files, named by their hashes. @internal */
export const blobDirectory = (disk: Disk, target: Target): string =>
  disk.path.join(repositoryDirectory(disk, target), "blobs")

/** The empty file that marks a file that a commit does not have. @internal */
export const absenceMarker = (disk: Disk, target: Target, commit: string, name: string): string =>
  disk.path.join(repositoryDirectory(disk, target), ".no_exist", commit, name)

/** The list of the files of a commit, which `snapshot_download` of Python writes. @internal */
export const treeFile = (disk: Disk, target: Target, commit: string): string =>
  disk.path.join(repositoryDirectory(disk, target), "trees", `${commit}.json`)
