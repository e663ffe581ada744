/** Strips styles from text, and wraps lines. */

const escapes = /\p{Control}\[[0-9;]*m/gu

/** @internal */
export const strip = (text: string): string => text.replace(escapes, "")

/** Wraps plain text. Continuation lines keep the indentation. @internal */
export const wrap = (text: string, columns: number): string =>
  text
    .split("\n")
    .flatMap((line) => {
      if (line.length <= columns) return [line]
      const indent = /^ */.exec(line)![0].slice(0, Math.max(0, columns - 16))
      const lines: Array<string> = []
      let current = ""
      for (const word of line.trim().split(/ +/)) {
        let rest = word
        const width = columns - indent.length
        if (current !== "" && current.length + 1 + rest.length > width) {
          lines.push(indent + current)
          current = ""
        }
        while (rest.length > width) {
          lines.push(indent + rest.slice(0, width))
          rest = rest.slice(width)
        }
        current = current === "" ? rest : `${current} ${rest}`
      }
      return [...lines, indent + current]
    })
    .join("\n")
