/**
 * Bundles the command once for all tests of this package, together with the embedded service: importing its sources one
 * by one takes seconds in each process.
 */
import { build, type Plugin } from "esbuild"
import { readFile } from "node:fs/promises"
import { fileURLToPath, pathToFileURL } from "node:url"
import { bundle } from "../../scripts/bundle.mjs"

const outdir = fileURLToPath(new URL("../../build/bundle", import.meta.url))

const source = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url))

/** Modules that read files beside them go on to find them; the thread of the engine is beside the bundle. */
const keepUrls: Plugin = {
  name: "urls",
  setup: ({ onLoad }) =>
    onLoad({ filter: /packages[/]\w+[/]src[/].*[.]ts$/ }, async ({ path }) => {
      if (path.endsWith("/nodeThread.ts")) return undefined
      const text = await readFile(path, "utf8")
      return { contents: text.replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href)), loader: "ts" }
    })
}

export default async () => {
  await bundle({ outdir, local: "./local.js", report: "./report.js" })
  await build({
    entryPoints: {
      local: source("cli/src/internal/service/local.ts"),
      report: source("cookbook/src/NodeReport.ts"),
      nodeWorker: source("engine/src/internal/worker/nodeWorker.ts")
    },
    outdir,
    bundle: true,
    splitting: true,
    chunkNames: "service-[hash]",
    platform: "node",
    target: "node20",
    format: "esm",
    conditions: ["effect-tinker-source"],
    external: ["onnxruntime-node", "onnxruntime-web", "@libsql/client", "@mlc-ai/web-xgrammar"],
    logLevel: "warning",
    banner: {
      js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);'
    },
    plugins: [keepUrls]
  })
}
