/** Open files: a content, a position in it, and what the flag of the file allows. */
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as contents from "./contents.ts"
import { type Database, Fault } from "./database.ts"
import * as tree from "./tree.ts"

/** Finds or makes the file of a path as a flag says, and returns the number of its content. @internal */
export const openFile = async (
  transaction: IDBTransaction,
  path: string,
  flag: FileSystem.OpenFlag,
  now: number
): Promise<number> => {
  if (flag === "r" || flag === "r+") return await tree.getFile(transaction, path)
  const found = await tree.find(transaction, path)
  if (found === undefined) return await tree.makeFile(transaction, path, now)
  if (flag.includes("x")) throw new Fault("AlreadyExists", "there is a file or directory of this name")
  const content = await tree.getFile(transaction, path)
  if (flag.startsWith("w")) await contents.truncate(transaction, content, 0, now)
  return content
}

const fileMode = 0o100600
const directoryMode = 0o40700

/** What `stat` says. @internal */
export const infoOf = (content: contents.Content | undefined): FileSystem.File.Info => ({
  type: content === undefined ? "Directory" : "File",
  mtime: Option.map(Option.fromNullable(content), ({ mtime }) => new Date(mtime)),
  atime: Option.none(),
  birthtime: Option.none(),
  dev: 0,
  ino: Option.none(),
  mode: content === undefined ? directoryMode : fileMode,
  nlink: Option.none(),
  uid: Option.none(),
  gid: Option.none(),
  rdev: Option.none(),
  size: FileSystem.Size(content?.size ?? 0),
  blksize: Option.none(),
  blocks: Option.none()
})

/** An open file. Its position moves with what is read and written. */
const makeFile = (database: Database, path: string, id: number, flag: FileSystem.OpenFlag): FileSystem.File => {
  let position = 0
  const appends = flag.startsWith("a")
  const operation = (method: string) => ({ method, path })
  const check = (isAllowed: boolean): void => {
    if (!isAllowed) throw new Fault("PermissionDenied", `the file was opened with the flag ${flag}`)
  }
  const readSome = (length: number): Effect.Effect<Uint8Array, PlatformError> =>
    database
      .run("readonly", operation("read"), async (transaction) => {
        check(flag === "r" || flag.endsWith("+"))
        return await contents.read(transaction, id, position, length)
      })
      .pipe(Effect.tap(({ length }) => Effect.sync(() => (position += length))))
  const writeAll = (data: Uint8Array): Effect.Effect<void, PlatformError> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      database.run("readwrite", operation("write"), async (transaction) => {
        check(flag !== "r")
        const at = appends ? (await contents.get(transaction, id)).size : position
        await contents.write(transaction, id, at, data, now)
        return at + data.length
      })
    ).pipe(Effect.map((end) => void (position = end)))
  return {
    [FileSystem.FileTypeId]: FileSystem.FileTypeId,
    fd: FileSystem.FileDescriptor(id),
    stat: Effect.map(
      database.run("readonly", operation("stat"), (transaction) => contents.get(transaction, id)),
      infoOf
    ),
    seek: (offset, from) =>
      Effect.sync(() => {
        position = Number(offset) + (from === "start" ? 0 : position)
      }),
    // what was written is durable already
    sync: Effect.void,
    read: (buffer) =>
      Effect.map(readSome(buffer.length), (bytes) => {
        buffer.set(bytes)
        return FileSystem.Size(bytes.length)
      }),
    readAlloc: (size) =>
      Effect.map(readSome(Number(size)), (bytes) => (bytes.length === 0 ? Option.none() : Option.some(bytes))),
    truncate: (length = 0) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        database.run("readwrite", operation("truncate"), async (transaction) => {
          check(flag !== "r")
          await contents.truncate(transaction, id, Number(length), now)
        })
      ),
    write: (data) => Effect.as(writeAll(data), FileSystem.Size(data.length)),
    writeAll
  }
}

/** Opens a file. @internal */
export const open = (
  database: Database,
  path: string,
  flag: FileSystem.OpenFlag
): Effect.Effect<FileSystem.File, PlatformError> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    database.run(flag === "r" ? "readonly" : "readwrite", { method: "open", path }, (transaction) =>
      openFile(transaction, path, flag, now)
    )
  ).pipe(Effect.map((id) => makeFile(database, path, id, flag)))
