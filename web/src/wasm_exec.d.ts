// The support code that comes with Go, as build.sh wraps it.
declare module "wasm_exec" {
  export interface Go {
    argv: string[];
    /** The JavaScript values that Go holds, by their numbers; and the numbers that are free. */
    readonly _values: readonly unknown[];
    readonly _idPool: readonly number[];
    exit: (code: number) => void;
    importObject: WebAssembly.Imports;
    run(instance: WebAssembly.Instance): Promise<void>;
  }
  /** Makes the object that runs a Go program which sees `scope` as its global object. */
  export function makeGo(scope: object): Go;
}

// Where this script came from: base.module.ts or base.script.ts.
declare module "base" {
  export const base: string;
}
