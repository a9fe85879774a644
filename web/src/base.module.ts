export const base: string = import.meta.url;
