/** The parts of a parsed template. */

/** @internal */
export type Expression =
  | { readonly type: "constant"; readonly value: null | boolean | bigint | number | string }
  | { readonly type: "name"; readonly name: string }
  | { readonly type: "list" | "tuple" | "concat"; readonly items: ReadonlyArray<Expression> }
  | { readonly type: "dict"; readonly entries: ReadonlyArray<readonly [Expression, Expression]> }
  | { readonly type: "attribute"; readonly object: Expression; readonly name: string }
  | { readonly type: "item"; readonly object: Expression; readonly key: Expression }
  | { readonly type: "slice"; readonly parts: ReadonlyArray<Expression | undefined> }
  | ({ readonly type: "call"; readonly callee: Expression } & CallArguments)
  | ({ readonly type: "filter"; readonly input: Expression | undefined; readonly name: string } & CallArguments)
  | ({ readonly type: "test"; readonly input: Expression; readonly name: string } & CallArguments)
  | { readonly type: "unary"; readonly operator: "not" | "neg" | "pos"; readonly operand: Expression }
  | { readonly type: "logic"; readonly operator: "and" | "or"; readonly left: Expression; readonly right: Expression }
  | { readonly type: "arithmetic"; readonly operator: string; readonly left: Expression; readonly right: Expression }
  | {
      readonly type: "comparison"
      readonly left: Expression
      readonly operands: ReadonlyArray<readonly [operator: string, right: Expression]>
    }
  | {
      readonly type: "condition"
      readonly test: Expression
      readonly yes: Expression
      readonly no: Expression | undefined
    }

/** @internal */
export interface CallArguments {
  readonly positional: ReadonlyArray<Expression>
  readonly named: ReadonlyArray<readonly [string, Expression]>
  /** `*args` and `**kwargs` */
  readonly spread: Expression | undefined
  readonly spreadNamed: Expression | undefined
}

/** @internal */
export type Target =
  | { readonly type: "name"; readonly name: string }
  | { readonly type: "member"; readonly namespace: string; readonly name: string }
  | { readonly type: "tuple"; readonly items: ReadonlyArray<Target> }

/** What a macro or a call block takes. @internal */
export interface Signature {
  readonly parameters: ReadonlyArray<string>
  /** of the last parameters */
  readonly defaults: ReadonlyArray<Expression>
}

/** @internal */
export type Body = ReadonlyArray<Statement>

/** @internal */
export type Statement =
  | { readonly type: "data"; readonly text: string }
  | { readonly type: "print"; readonly value: Expression }
  | { readonly type: "set"; readonly target: Target; readonly value: Expression }
  | { readonly type: "setBlock"; readonly target: Target; readonly filter: Expression | undefined; readonly body: Body }
  | { readonly type: "if"; readonly branches: ReadonlyArray<readonly [Expression, Body]>; readonly otherwise: Body }
  | {
      readonly type: "for"
      readonly target: Target
      readonly items: Expression
      readonly test: Expression | undefined
      readonly isRecursive: boolean
      readonly body: Body
      readonly otherwise: Body
    }
  | { readonly type: "with"; readonly values: ReadonlyArray<readonly [Target, Expression]>; readonly body: Body }
  | { readonly type: "filterBlock"; readonly filter: Expression; readonly body: Body }
  | ({ readonly type: "macro"; readonly name: string; readonly body: Body; readonly uses: MacroUses } & Signature)
  | ({
      readonly type: "callBlock"
      readonly call: Expression
      readonly body: Body
      readonly uses: MacroUses
    } & Signature)
  | { readonly type: "generation"; readonly body: Body }
  | { readonly type: "break" | "continue" }

/** Which of the names that a macro gets without a parameter its body reads. @internal */
export interface MacroUses {
  readonly caller: boolean
  readonly kwargs: boolean
  readonly varargs: boolean
}
