/** The part of ONNX Runtime that the native executor uses, declared here because the package is optional. */

declare module "onnxruntime-node" {
  export class Tensor {
    constructor(type: "float32" | "int32", data: Float32Array | Int32Array, dims: ReadonlyArray<number>)
    readonly data: unknown
  }

  export interface Session {
    readonly inputNames: ReadonlyArray<string>
    /** A fetch that is a tensor gets the output written to its data; for `null`, the output is a new tensor. */
    readonly run: (
      feeds: Record<string, Tensor>,
      fetches: Record<string, Tensor | null>
    ) => Promise<{ readonly [name: string]: Tensor }>
    readonly release: () => Promise<void>
  }

  export const env: { readonly versions: { readonly [name: string]: string } }

  export const InferenceSession: {
    readonly create: (model: Uint8Array, options: object) => Promise<Session>
  }
}
