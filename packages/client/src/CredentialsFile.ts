/**
 * The file of stored API keys, `~/.tinker/credentials.json`, which the Python command reads and writes too.
 *
 * - The version must be 1, or absent, which means the same. A file of another version is an error, and is not changed.
 * - Fields that this release does not know are preserved.
 * - The file is replaced atomically, and only its owner can read it afterwards. If it is a symbolic link, the link stays,
 *   and the file that it leads to is replaced.
 * - Reading warns if other users can read the file, or write to its directory.
 *
 * @since 0.1.0
 */
import type * as TinkerError from "@effect-tinker/api/TinkerError"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Path from "@effect/platform/Path"
import type * as Effect from "effect/Effect"
import * as reading from "./internal/auth/readStoredKeys.ts"
import * as storedKeys from "./internal/auth/storedKeys.ts"
import * as writing from "./internal/auth/writeStoredKeys.ts"

/**
 * The content of the file. Ids are those of the keys on the service.
 *
 * @since 0.1.0
 * @category models
 */
export type StoredKeys = storedKeys.StoredKeys

/**
 * @since 0.1.0
 * @category models
 */
export type StoredKey = storedKeys.StoredKey

/**
 * The stored keys; none where there is no file.
 *
 * @since 0.1.0
 * @category constructors
 */
export const read: (file: string) => Effect.Effect<StoredKeys, TinkerError.InvalidInput, FileSystem.FileSystem> =
  reading.read

/**
 * Replaces the file.
 *
 * @since 0.1.0
 * @category destructors
 */
export const write: (
  file: string,
  keys: StoredKeys
) => Effect.Effect<void, TinkerError.FileError, FileSystem.FileSystem | Path.Path> = writing.write

/**
 * The default key and its id, if one is stored.
 *
 * @since 0.1.0
 * @category getters
 */
export const defaultKey: (keys: StoredKeys) => { readonly id: string; readonly record: StoredKey } | undefined =
  storedKeys.defaultKey
