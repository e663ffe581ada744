/** Appends to a list of tokens. */

/** As `push` of all tokens, which overflows the stack with those of a long text. @internal */
export const append = (tokens: Array<number>, more: ReadonlyArray<number>): void => {
  for (const token of more) tokens.push(token)
}
