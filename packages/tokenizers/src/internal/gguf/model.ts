/** What is known of a GGUF file from its header. */

/** The header as the library gives it. @internal */
export interface Parsed {
  readonly metadata: object
  readonly tensorDataOffset: bigint
  readonly tensorInfos: ReadonlyArray<{
    readonly name: string
    readonly dtype: number
    readonly offset: bigint
    readonly shape: ReadonlyArray<bigint>
  }>
}

/** Parses a header whose ranges `fetch` responds with. @internal */
export type Parse = (fetch: typeof globalThis.fetch) => Promise<Parsed>
