// A classic script knows where it came from only while it runs for the first time.
export const base: string = (document.currentScript as HTMLScriptElement | null)?.src ?? location.href;
