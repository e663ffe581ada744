/** The memory that the process may use, and the kind of the machine, on Node, Bun and Deno. */
import { totalmem } from "node:os"

/** In bytes: the memory of the machine, or the limit of the control group if it is lower. @internal */
export const availableMemory = (): number => {
  // without a limit it is 0, or larger than any memory; some runtimes do not have it
  const limit = (process as Partial<Pick<NodeJS.Process, "constrainedMemory">>).constrainedMemory?.() ?? 0
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem()
}

/** The kind of the machine, for what was compiled for it. @internal */
export const kindOfMachine = (): string => `${process.platform} ${process.arch}`
