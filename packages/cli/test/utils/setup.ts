/**
 * Bundles the command once for all tests of this package, together with the embedded service: importing its sources one
 * by one takes seconds in each process.
 */
import { build } from "esbuild"
import { fileURLToPath } from "node:url"
import { nodePrograms } from "../../../../scripts/bundle-program.mjs"
import { bundle } from "../../scripts/bundle.mjs"

const outdir = fileURLToPath(new URL("../../build/bundle", import.meta.url))

const source = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url))

export default async () => {
  await bundle({ outdir, local: "./local.js", report: "./report.js" })
  await build({
    entryPoints: {
      local: source("cli/src/internal/service/local.ts"),
      report: source("cookbook/src/NodeReport.ts"),
      nodeWorker: source("engine/src/internal/worker/nodeWorker.ts")
    },
    outdir,
    splitting: true,
    chunkNames: "service-[hash]",
    ...nodePrograms
  })
}
