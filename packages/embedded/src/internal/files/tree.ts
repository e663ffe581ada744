/** The tree of directories and files, within a transaction. */
import * as contents from "./contents.ts"
import { entries, Fault, resultOf } from "./database.ts"

/** @internal */
export type Entry = { readonly kind: "directory" } | { readonly kind: "file"; readonly content: number }

const directory: Entry = { kind: "directory" }

/** The path from the root, without `.`, `..` and a slash at the end; `/` is the root. @internal */
export const normalize = (path: string): string => {
  const parts: Array<string> = []
  for (const part of path.split("/")) {
    if (part === "..") parts.pop()
    else if (part !== "" && part !== ".") parts.push(part)
  }
  return `/${parts.join("/")}`
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/")) || "/"

const storeOf = (transaction: IDBTransaction) => transaction.objectStore(entries)

/** The entry of a normal path, if there is one. @internal */
export const find = async (transaction: IDBTransaction, path: string): Promise<Entry | undefined> =>
  path === "/" ? directory : await resultOf(storeOf(transaction).get(path) as IDBRequest<Entry | undefined>)

/** @internal */
export const get = async (transaction: IDBTransaction, path: string): Promise<Entry> => {
  const found = await find(transaction, path)
  if (found === undefined) throw new Fault("NotFound", "No such file or directory")
  return found
}

/** The number of a file's content. @internal */
export const getFile = async (transaction: IDBTransaction, path: string): Promise<number> => {
  const found = await get(transaction, path)
  if (found.kind === "directory") throw new Fault("BadResource", "it is a directory")
  return found.content
}

const requireDirectory = async (transaction: IDBTransaction, path: string): Promise<void> => {
  const found = await get(transaction, path)
  if (found.kind !== "directory") throw new Fault("BadResource", `${path} is not a directory`)
}

const put = async (transaction: IDBTransaction, path: string, entry: Entry): Promise<void> => {
  await requireDirectory(transaction, parentOf(path))
  await resultOf(storeOf(transaction).put(entry, path))
}

/** All paths below a directory; `0` is the character after `/`. */
const below = (path: string) => {
  const prefix = path === "/" ? "" : path
  return IDBKeyRange.bound(`${prefix}/`, `${prefix}0`, true, true)
}

const pathsBelow = async (transaction: IDBTransaction, path: string): Promise<ReadonlyArray<string>> =>
  (await resultOf(storeOf(transaction).getAllKeys(below(path)))) as Array<string>

/** The names in a directory, or the relative paths of all that is below it. @internal */
export const list = async (transaction: IDBTransaction, path: string, recursive: boolean): Promise<Array<string>> => {
  await requireDirectory(transaction, path)
  const start = path === "/" ? 1 : path.length + 1
  const names = (await pathsBelow(transaction, path)).map((found) => found.slice(start))
  return recursive ? names : names.filter((name) => !name.includes("/"))
}

/** @internal */
export const makeDirectory = async (transaction: IDBTransaction, path: string, recursive: boolean): Promise<void> => {
  const found = await find(transaction, path)
  if (found !== undefined && (!recursive || found.kind === "file")) {
    throw new Fault("AlreadyExists", "there is a file or directory of this name")
  }
  if (found !== undefined) return
  if (recursive) await makeDirectory(transaction, parentOf(path), true)
  await put(transaction, path, directory)
}

/** Makes a file with an empty content, and returns the number of that. @internal */
export const makeFile = async (transaction: IDBTransaction, path: string, now: number): Promise<number> => {
  const content = await contents.create(transaction, now)
  await put(transaction, path, { kind: "file", content })
  return content
}

/** What is below a file cannot be there, which is another error than that it is not. */
const requireNoFileAbove = async (transaction: IDBTransaction, path: string): Promise<void> => {
  for (let above = parentOf(path); above !== "/"; above = parentOf(above)) {
    if ((await find(transaction, above))?.kind === "file") throw new Fault("BadResource", `${above} is not a directory`)
  }
}

const removeOne = async (transaction: IDBTransaction, path: string, entry: Entry): Promise<void> => {
  if (entry.kind === "file") await contents.remove(transaction, entry.content)
  await resultOf(storeOf(transaction).delete(path))
}

/** @internal */
export const remove = async (
  transaction: IDBTransaction,
  path: string,
  { force, recursive }: { readonly force: boolean; readonly recursive: boolean }
): Promise<void> => {
  if (path === "/") throw new Fault("PermissionDenied", "the root cannot be removed")
  const found = await find(transaction, path)
  if (found === undefined && force) return await requireNoFileAbove(transaction, path)
  const entry = found ?? (await get(transaction, path))
  if (entry.kind === "directory" && !recursive) throw new Fault("BadResource", "it is a directory")
  const inside = entry.kind === "directory" ? await pathsBelow(transaction, path) : []
  for (const other of inside) await removeOne(transaction, other, await get(transaction, other))
  await removeOne(transaction, path, entry)
}

/** What a rename replaces: a file by a file, an empty directory by a directory. */
const replace = async (transaction: IDBTransaction, path: string, by: Entry): Promise<void> => {
  const found = await find(transaction, path)
  if (found === undefined) return
  if (found.kind !== by.kind) throw new Fault("AlreadyExists", `there is a ${found.kind} of the new name`)
  if (found.kind === "directory" && (path === "/" || (await pathsBelow(transaction, path)).length > 0)) {
    throw new Fault("AlreadyExists", "the directory of the new name is not empty")
  }
  await removeOne(transaction, path, found)
}

/** Renames a file, or a directory with all that is in it. @internal */
export const rename = async (transaction: IDBTransaction, from: string, to: string): Promise<void> => {
  const entry = await get(transaction, from)
  if (from === to) return
  if (from === "/" || to.startsWith(`${from}/`)) {
    throw new Fault("InvalidData", "a directory cannot become a part of itself")
  }
  await replace(transaction, to, entry)
  await put(transaction, to, entry)
  const store = storeOf(transaction)
  for (const path of entry.kind === "directory" ? await pathsBelow(transaction, from) : []) {
    await resultOf(store.put(await get(transaction, path), `${to}${path.slice(from.length)}`))
    await resultOf(store.delete(path))
  }
  await resultOf(store.delete(from))
}
