/** The parts of the page's document, and how they show things. */
import * as chart from "./chart.ts"

/** A row of the table of answers. */
export interface Answer {
  readonly prompt: string
  readonly expected: string
  readonly before: string
  readonly after?: string | undefined
}

const part = <E extends Element>(id: string): E => {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no part ${id}`)
  return found as Element as E
}

export const parts = {
  status: part<HTMLElement>("status"),
  download: part<HTMLProgressElement>("download"),
  form: part<HTMLFormElement>("train-form"),
  pairs: part<HTMLTextAreaElement>("pairs"),
  ownPairs: part<HTMLElement>("own"),
  problem: part<HTMLElement>("problem"),
  train: part<HTMLButtonElement>("train"),
  stop: part<HTMLButtonElement>("stop"),
  step: part<HTMLElement>("step"),
  loss: part<HTMLElement>("loss"),
  speed: part<HTMLElement>("speed"),
  executor: part<HTMLElement>("executor"),
  curve: part<SVGSVGElement>("curve"),
  answers: part<HTMLTableSectionElement>("answers"),
  score: part<HTMLElement>("score"),
  tryForm: part<HTMLFormElement>("try-form"),
  tryField: part<HTMLInputElement>("try-field"),
  tryButton: part<HTMLButtonElement>("try-button"),
  tried: part<HTMLElement>("tried"),
  save: part<HTMLButtonElement>("save"),
  output: part<HTMLElement>("output")
}

/** Says something to all, a reader of the screen included. */
export const say = (text: string): void => {
  parts.status.textContent = text
}

const cell = (name: "td" | "th", text: string, className = ""): HTMLTableCellElement => {
  const made = document.createElement(name)
  if (name === "th") made.scope = "row"
  made.className = className
  made.textContent = text === "" ? "…" : text
  return made
}

const shorten = (text: string): string => (text.length > 40 ? `${text.slice(0, 40)}…` : text)

/** Shows answers before training and, once they are there, after it. */
export const showAnswers = (answers: ReadonlyArray<Answer>): void => {
  parts.answers.replaceChildren(
    ...answers.map(({ after, before, expected, prompt }) => {
      const row = document.createElement("tr")
      const isRight = after === expected
      const shown = after === undefined ? "" : isRight ? `${after} ✓` : `${shorten(after)} ✗ ${expected}`
      const last = cell("td", shown, after === undefined ? "" : isRight ? "right" : "wrong")
      row.append(cell("th", prompt.replace(/ ->$/, "")), cell("td", shorten(before)), last)
      return row
    })
  )
}

/** Shows the losses so far. The description is for those who do not see the curve. */
export const showLosses = (losses: ReadonlyArray<number>, steps: number): void => {
  chart.draw(parts.curve, losses, steps)
  const [first, last] = [losses[0], losses.at(-1)]
  const described =
    first === undefined || last === undefined
      ? "no step yet"
      : `from ${first.toFixed(2)} at step 1 to ${last.toFixed(2)} at step ${losses.length}`
  parts.curve.setAttribute("aria-label", `Loss by step, ${described}`)
}

/** Lets the browser save bytes as a file. */
export const saveAs = (bytes: ArrayBuffer, name: string): void => {
  const url = URL.createObjectURL(new Blob([bytes]))
  const link = document.createElement("a")
  link.href = url
  link.download = name
  link.click()
  URL.revokeObjectURL(url)
}
