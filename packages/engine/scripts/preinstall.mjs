/**
 * Keeps the install script of onnxruntime-node from downloading CUDA binaries, which this package does not use: it needs a
 * host outside of the npm registry, and where that fails, npm removes the package, and training is several times slower.
 *
 * That script downloads nothing if three files exist, so this creates them, empty. npm runs it first: the scripts
 * `preinstall` of all packages come before any `postinstall`. It leaves alone whoever asks for the binaries by
 * `ONNXRUNTIME_NODE_INSTALL`, and files that are there. It never fails.
 */
import { closeSync, existsSync, openSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"

const providers = ["cuda", "shared", "tensorrt"]

const asked = ["ONNXRUNTIME_NODE_INSTALL", "ONNXRUNTIME_NODE_INSTALL_CUDA"].some(
  (name) => process.env[name] !== undefined || process.env[`npm_config_${name.toLowerCase()}`] !== undefined
)

try {
  if (!asked && process.platform === "linux" && process.arch === "x64") {
    const manifest = createRequire(import.meta.url).resolve("onnxruntime-node/package.json")
    const binaries = join(dirname(manifest), "bin", "napi-v6", "linux", "x64")
    for (const provider of providers) {
      const file = join(binaries, `libonnxruntime_providers_${provider}.so`)
      if (existsSync(binaries) && !existsSync(file)) closeSync(openSync(file, "wx"))
    }
  }
} catch {
  // it is not installed, or has another layout: its own script decides
}
