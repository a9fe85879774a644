/**
 * What went wrong, in one stable word. The same words are the codes of errors
 * in the Go library.
 */
export type ErrorCode =
  | "invalid_url"
  | "invalid_option"
  | "invalid_payload"
  | "not_ready"
  | "already_identified"
  | "closed"
  | "disconnected"
  | "queue_full"
  | "message_too_large"
  | "dial_failed"
  | "not_a_gateway"
  | "timeout"
  | "aborted"
  | "heartbeat_timeout"
  | "connection_closed"
  | "reconnect"
  | "invalid_session"
  | "resume_failed"
  | "authentication_failed"
  | "identify_rejected"
  | "rate_limited"
  | "not_an_instance"
  | "http_error"
  | "invalid_form"
  | "captcha_required"
  | "mfa_required"
  | "protocol"
  | "malformed_message"
  | "corrupt_stream"
  | "received_too_large"
  | "overflow"
  | "observer_threw"
  | "load_failed"
  | "core_crashed"
  | "internal";

/** The facts of an error, as they travel between the core and the page. */
export interface ErrorInfo {
  code: ErrorCode;
  message: string;
  closeCode?: number;
  fatal?: boolean;
}

/**
 * Every error of this package. Its message says what was wrong and what to do
 * about it, and never holds a token.
 */
export class GatewayError extends Error {
  /** What went wrong, in one word to switch on. */
  readonly code: ErrorCode;
  /** The code with which the connection closed, where it did. */
  readonly closeCode: number | undefined;
  /** Whether the handle is at its end. After all other errors it goes on. */
  readonly fatal: boolean;

  constructor(info: ErrorInfo, options?: { cause?: unknown }) {
    super(info.message, options);
    this.name = "GatewayError";
    this.code = info.code;
    this.closeCode = info.closeCode || undefined;
    this.fatal = info.fatal ?? false;
  }
}

/** "invalid_payload": what was to be sent lacks something, or a value is not what servers take. */
export class PayloadError extends GatewayError {
  /** The key of the field; empty if it is the payload as a whole. */
  readonly field: string;

  /** @internal */
  constructor(name: string, field: string, why: string) {
    super({ code: "invalid_payload", message: `cannot send ${name}: ${field || "the payload"} ${why}` });
    this.name = "PayloadError";
    this.field = field;
  }
}

/** "rate_limited": the server refuses a request for now. */
export class RateLimitError extends GatewayError {
  /** The opcode of the request. */
  readonly op: number;
  /** When the server takes it again, in milliseconds. */
  readonly retryAfter: number;

  /** @internal */
  constructor(name: string, op: number, seconds: number) {
    super({ code: "rate_limited", message: `the server refuses ${name} for ${seconds} s; try again then` });
    this.name = "RateLimitError";
    this.op = op;
    this.retryAfter = Number(seconds) * 1000 || 0;
  }
}

/** Makes an error of one code. */
export function fail(code: ErrorCode, message: string, cause?: unknown): GatewayError {
  return new GatewayError({ code, message }, cause === undefined ? undefined : { cause });
}

/** Says in words what was thrown, whatever it was. */
export function describe(thrown: unknown): string {
  try {
    return thrown instanceof Error ? thrown.message : String(thrown);
  } catch {
    return "something that cannot be described was thrown";
  }
}
