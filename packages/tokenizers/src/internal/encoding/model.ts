/** What turns a word into ids. */

/** @internal */
export interface Model {
  /** appends the ids of a word; yields between steps of a long one */
  readonly encode: (word: string, out: Array<number>) => Generator<void, void>
}

/** A word, or a part of a text, and whether it is at the start of the text. @internal */
export type Stage = (text: string, isStart: boolean) => Iterable<string>

/** Runs all steps at once. @internal */
export const runAtOnce = <A>(steps: Generator<void, A>): A => {
  for (;;) {
    const next = steps.next()
    if (next.done === true) return next.value
  }
}
