import type { BuildOptions } from "esbuild"

export declare const nodePrograms: BuildOptions

export declare const bundleProgram: (entry: string) => Promise<string>
