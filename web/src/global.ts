// The global object, for pages that use no modules and for consoles.

import { GatewayError, PayloadError, RateLimitError } from "./errors.js";
import { connect, hostKind, init, spawn, version } from "./gateway.js";
import { GatewayHandle, method, type SendMethods } from "./handle.js";
import * as protocol from "./protocol.gen.js";
import { requestNames, type RequestMethods } from "./requests.js";
import * as user from "./user.js";
import { watchAutoModerationRule, watchChannel, watchGuild, watchMember, watchRole, watchThread, watchUser, watchVoiceState } from "./watch.js";

const watches = { watchAutoModerationRule, watchChannel, watchGuild, watchMember, watchRole, watchThread, watchUser, watchVoiceState };

type Bound<M> = { [N in keyof M]: M[N] extends (...args: infer A) => infer R ? (handle: GatewayHandle, ...args: A) => R : never };

/** What `globalThis.spacebarGateway` holds. */
export type SpacebarGateway = Bound<SendMethods & RequestMethods> & {
  init: typeof init;
  connect: typeof connect;
  spawn: typeof spawn;
  hostKind: typeof hostKind;
  version: string;
  GatewayError: typeof GatewayError;
  PayloadError: typeof PayloadError;
  RateLimitError: typeof RateLimitError;
  GatewayHandle: typeof GatewayHandle;
  /** Sends any payload with any opcode. */
  send(handle: GatewayHandle, ...args: Parameters<GatewayHandle["send"]>): Promise<void>;
  /** Alias of sendRequestCallConnect. */
  sendCallSync: Bound<SendMethods>["sendRequestCallConnect"];
} & typeof protocol &
  typeof user &
  typeof watches;

declare global {
  // eslint-disable-next-line no-var
  var spacebarGateway: SpacebarGateway;
}

/** Puts everything on the global object. */
export function bind(): void {
  const bound: Record<string, unknown> = { ...protocol, ...user, init, connect, spawn, hostKind, version, GatewayError, PayloadError, RateLimitError, GatewayHandle };
  for (const name of [...(Object.keys(protocol.sends) as protocol.SendName[]).map(method), ...requestNames, "send", "sendCallSync"] as (keyof SendMethods)[]) {
    bound[name] = (handle: GatewayHandle, ...args: Parameters<SendMethods[typeof name]>) => {
      return (checked(name, handle)[name] as (...a: unknown[]) => unknown)(...args);
    };
  }
  for (const [name, watch] of Object.entries(watches) as [string, (handle: GatewayHandle, ...args: unknown[]) => unknown][]) {
    bound[name] = (handle: GatewayHandle, ...args: unknown[]) => watch(checked(name, handle), ...args);
  }
  globalThis.spacebarGateway = bound as SpacebarGateway;
}

function checked(name: string, handle: GatewayHandle): GatewayHandle {
  if (!(handle instanceof GatewayHandle)) throw new TypeError(`spacebarGateway.${name} takes a handle first`);
  return handle;
}
