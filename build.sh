#!/usr/bin/env bash
# Everything that is built, run or tested is one verb of this script.
# ./build.sh help lists them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
die() { printf 'build.sh: %s\n' "$*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || die "$1 is missing: $2"; }

go_tool() { # NAME PACKAGE: the path of a tool, built once
	local bin=$PWD/build/bin/$1
	if [ ! -x "$bin" ] || [ test/tools/go.mod -nt "$bin" ]; then
		go -C test/tools build -o "$bin" "$2"
	fi
	echo "$bin"
}

# bundle OUT ENTRY BASE [ESBUILD OPTIONS]
bundle() {
	local out=$1 entry=$2 base=$3
	shift 3
	"$(go_tool esbuild github.com/evanw/esbuild/cmd/esbuild)" "$entry" --bundle --minify --target=es2022 --legal-comments=none \
		--log-level=warning --sourcemap=linked --sources-content=false \
		--alias:wasm_exec=./build/wasm_exec.mjs --alias:base=./web/src/base."$base".ts --define:VERSION="\"$(version)\"" --outfile="$out" "$@"
}

version() { sed -n 's/^  "version": "\(.*\)",$/\1/p' web/package.json; }

# The support code must come from the very Go that builds the binary. It gets a
# global object of its own, so that the page's stays as it is.
wasm_exec() {
	local from
	from=$(go env GOROOT)/lib/wasm/wasm_exec.js
	[ -f "$from" ] || die "no wasm_exec.js in $(go env GOROOT)"
	mkdir -p build
	{
		echo 'export function makeGo(globalThis) {'
		sed 's/\([^.]\)fs\.writeSync(/\1globalThis.fs.writeSync(/' "$from"
		echo 'return new globalThis.Go(); }'
	} >build/wasm_exec.mjs
}

cmd_wasm() { # wasm: build the WebAssembly binary and the JavaScript into web/dist
	need go "install Go 1.26 or later"
	mkdir -p web/dist
	say "building web/dist"
	GOOS=js GOARCH=wasm go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' ${GOFLAGS_WASM:-} -o web/dist/gateway.wasm ./wasm
	wasm_exec
	bundle web/dist/index.js web/src/index.ts module --format=esm
	bundle web/dist/spacebar-gateway.js web/src/script.ts script --format=iife
	bundle web/dist/worker.js web/src/worker.ts script --format=iife
}

cmd_demo() { # demo [-addr 127.0.0.1:8080]: build all and serve a page that holds a live session against an embedded gateway
	cmd_wasm
	bundle web/dist/demo.js web/demo/demo.ts module --format=esm --alias:spacebar-gateway=/dist/index.js --external:/dist/index.js
	mkdir -p build/bin
	go build -o build/bin/demo ./web/demo
	exec build/bin/demo "$@"
}

cmd_help() { # help: this list
	sed -n 's/^cmd_[a-z]*() { # /  .\/build.sh /p' build.sh | sort
}

verb=${1:-help}
declare -F "cmd_$verb" >/dev/null || { cmd_help >&2; die "unknown verb: $verb"; }
shift || true
"cmd_$verb" "$@"
