#!/usr/bin/env bash
# Everything that is built, run or tested is one verb of this script.
# ./build.sh help lists them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$PWD

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }
die() { printf 'build.sh: %s\n' "$*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || die "$1 is missing: $2"; }
need_go() { need go "install Go 1.26 or later (https://go.dev/dl)"; }
need_node() { need node "install Node.js 20.11 or later"; need npm "it comes with Node.js"; }

# go_tool NAME PACKAGE: builds a tool of test/tools once, and prints its path.
go_tool() {
	local bin=$root/build/bin/$1
	if [ ! -x "$bin" ] || [ test/tools/go.mod -nt "$bin" ]; then
		go -C test/tools build -o "$bin" "$2"
	fi
	echo "$bin"
}

version() { sed -n 's/^  "version": "\(.*\)",$/\1/p' web/package.json; }

# esbuild [OPTIONS]: bundles TypeScript of the package.
esbuild() {
	"$(go_tool esbuild github.com/evanw/esbuild/cmd/esbuild)" --bundle --target=es2022 --legal-comments=none --log-level=warning \
		--alias:wasm_exec=./build/wasm_exec.mjs --define:VERSION="\"$(version)\"" "$@"
}

# bundle OUT ENTRY BASE [OPTIONS]: a file of the package.
bundle() {
	local out=$1 entry=$2 base=$3
	shift 3
	esbuild "$entry" --minify --sourcemap=linked --sources-content=false --alias:base=./web/src/base."$base".ts --outfile="$out" "$@"
}

# The support code must come from the very Go that builds the binary. It is given
# a global object of its own, so that the page's stays as it is.
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

# lean_modfile: the go.mod that the binary is built with. Of safejs it takes a
# copy without fmt, which safejs has for the stacks that its errors print with
# %+v and for three messages, and which would be a ninth of the download.
lean_modfile() {
	local module=github.com/hack-pad/safejs lean=build/safejs from
	go mod download "$module"
	from=$(go list -m -f '{{.Dir}}' "$module")
	rm -rf "$lean"
	mkdir -p "$lean/internal/catch" "$lean/internal/stackerr"
	printf 'module %s\n\ngo 1.19\n' "$module" >"$lean/go.mod"
	cp "$from"/{bytes,error,func,global,type}.go "$lean"
	sed 's/fmt\.Errorf(\("[^:"]*\)[^"]*", .*)$/errors.New(\1")/; s/^\t"fmt"$/\t"errors"/' "$from/value.go" >"$lean/value.go"
	sed 's/^\tdefault:$/\tcase string:\n\t\treturn errors.New(value)\n&/; s/fmt\.Errorf("%+v", value)/errors.New("panic")/; s/^\t"fmt"$/\t"errors"/' \
		"$from/internal/catch/catch.go" >"$lean/internal/catch/catch.go"
	printf 'package stackerr\n\nfunc WithStack(err error) error { return err }\n' >"$lean/internal/stackerr/stackerr.go"
	! grep -rn 'fmt' "$lean" || die "safejs is not what lean_modfile expects: has its version changed?"
	sed "\$ a replace $module => ./$lean" go.mod >build/lean.mod
	cp go.sum build/lean.sum
	echo build/lean.mod
}

cmd_wasm() { # wasm: build the WebAssembly binary and its loader into web/dist
	need_go
	say "building web/dist"
	mkdir -p web/dist
	local modfile
	modfile=$(lean_modfile)
	GOOS=js GOARCH=wasm go build -modfile="$modfile" -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o web/dist/gateway.wasm ./wasm
	wasm_exec
	bundle web/dist/index.js web/src/index.ts module --format=esm
	bundle web/dist/spacebar-gateway.js web/src/script.ts script --format=iife
	bundle web/dist/worker.js web/src/worker.ts script --format=iife
}

# demo_build: the demo, of the package that has been built.
demo_build() {
	bundle web/dist/demo.js web/demo/demo.ts module --format=esm --alias:spacebar-gateway=/dist/index.js --external:/dist/index.js
	go build -o build/bin/demo ./web/demo
}

cmd_demo() { # demo [-addr 127.0.0.1:8080]: build all and serve a page that holds a live session against an embedded gateway
	cmd_wasm
	demo_build
	exec build/bin/demo "$@"
}

# npm_install: the package's development tools.
npm_install() {
	need_node
	if [ ! -d web/node_modules ] || [ web/package-lock.json -nt web/node_modules ]; then
		say "installing npm's development tools"
		npm --prefix web ci --no-audit --no-fund --loglevel=error
		touch web/node_modules
	fi
}

# debian COMMAND PACKAGE: installs a Debian package unless its command is there.
debian() {
	command -v "$1" >/dev/null && return
	command -v apt-get >/dev/null || die "$1 is missing, and this is no Debian to install $2 on"
	say "installing $2"
	local sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	$sudo apt-get update -qq
	DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$2" >/dev/null
}

types() {
	say "type checks"
	rm -rf build/types
	web/node_modules/.bin/tsc -p web --outDir build/types
	echo '{ "type": "module" }' >build/types/package.json
	local project
	for project in web/demo web/test web/test/consumer; do
		web/node_modules/.bin/tsc -p "$project"
	done
}

cmd_lint() { # lint: gofmt, vet, staticcheck and the type checks
	need_go
	npm_install
	say "gofmt, vet, staticcheck"
	local unformatted
	unformatted=$(gofmt -l gateway jsbridge wasm web/demo test)
	[ -z "$unformatted" ] || die "gofmt would change: $unformatted"
	go vet ./...
	GOOS=js GOARCH=wasm go vet ./gateway/session ./gateway/wire ./jsbridge ./wasm
	local staticcheck
	staticcheck=$(go_tool staticcheck honnef.co/go/tools/cmd/staticcheck)
	"$staticcheck" ./...
	GOOS=js GOARCH=wasm "$staticcheck" ./gateway/session ./gateway/wire ./jsbridge ./wasm
	types
}

# bounded SECONDS COMMAND: runs COMMAND as a process group of its own, of which
# nothing is left when it ends or its time is over: neither a test that hangs nor
# a server that outlives its test can keep the log, and so this script, open.
bounded() {
	local pid rc=0
	timeout -k 10 "$@" &
	pid=$!
	trap 'kill -- -$pid; exit 130' INT TERM
	wait "$pid" || rc=$?
	trap - INT TERM
	kill -KILL -- "-$pid" 2>/dev/null || true
	[ $rc != 124 ] || say "out of time after $1 s"
	return $rc
}

native_tests() {
	say "native tests, with the race detector"
	# All that tests print goes to the log, where secrets looks for tokens.
	go test -race -v ./... 2>&1 | tee build/native.log | grep -Ev '^[[:space:]]*(===|--- PASS|PASS$)|no test files'
	say "the simulation, 2,000 seeds"
	go test ./test/simulation
}

wasm_tests() {
	say "the core's tests as WebAssembly, in node"
	# Without the environment: WebAssembly leaves room for 8 KB of it.
	local exec
	exec="$(go env GOROOT)/lib/wasm/go_js_wasm_exec"
	env -i PATH="$PATH" HOME="$HOME" GOOS=js GOARCH=wasm GOFLAGS="${GOFLAGS:-}" GOPROXY="$(go env GOPROXY)" \
		go test -exec="$exec" ./gateway/session ./gateway/wire ./jsbridge
}

node_tests() {
	[ -d test/node ] || return 0
	say "the package's own tests, in node"
	mkdir -p build/test
	local f
	for f in test/node/*.test.mjs; do
		local name
		name=$(basename "$f" .test.mjs)
		esbuild "web/src/$name.ts" --format=esm --alias:base=./web/src/base.module.ts --outfile="build/test/$name.mjs"
	done
	bounded 300 node --test --test-timeout=120000 test/node/*.test.mjs
}

browser_tests() {
	debian chromium chromium
	debian Xvfb xvfb
	say "browser tests"
	go build -o build/bin/fakegateway ./test/fakegateway/cmd/fakegateway
	go build -o build/bin/hostile ./test/hostile/cmd/hostile
	demo_build
	# A test that waits for what never comes says so by its name.
	bounded 1500 node --test --test-concurrency=2 --test-timeout=300000 test/browser/*.test.mjs
}

# secrets: nothing that any test printed holds a token or a password it used.
secrets() {
	say "secrets"
	if grep -nE 'token-of-(alice|bob|carol|the-hostile)|bad-token|secret-token|hunter2' build/native.log build/test.log; then
		die "tests have printed what is secret (above)"
	fi
}

cmd_test() { # test: run every test, native, wasm and browser, installing what they need
	need_go
	npm_install
	mkdir -p build
	{
		cmd_lint
		native_tests
		cmd_wasm
		wasm_tests
		node_tests
		browser_tests
	} 2>&1 | tee build/test.log
	secrets
	say "all tests passed"
}

cmd_soak() { # soak: the tests that take more than minutes: ten thousand connections, a million events, a hundred handles
	need_go
	npm_install
	debian chromium chromium
	debian Xvfb xvfb
	cmd_wasm
	go build -o build/bin/fakegateway ./test/fakegateway/cmd/fakegateway
	say "natively"
	GATEWAY_SOAK=full go test -count=1 -timeout=60m -v ./test/soak
	say "in Chromium"
	GATEWAY_SOAK=full node --test --test-concurrency=1 test/browser/soak.test.mjs test/browser/hidden.test.mjs
}

# bench_build: what the benchmark runs.
bench_build() {
	need_go
	npm_install
	debian chromium chromium
	cmd_wasm
	say "building the benchmark"
	if [ ! -d test/bench/node_modules ] || [ test/bench/package-lock.json -nt test/bench/node_modules ]; then
		npm --prefix test/bench ci --no-audit --no-fund --loglevel=error
		touch test/bench/node_modules
	fi
	go build -o build/bin/benchcorpus ./test/bench/corpus
	go build -o build/bin/benchserver ./test/bench/server
	go -C test/bench/peers build -o "$root/build/bin/benchclient" .
	GOOS=js GOARCH=wasm go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o build/bench/empty.wasm ./test/bench/empty
	esbuild test/bench/page/page.js --external:util --format=iife --outfile=build/bench/page.js
}

cmd_bench() { # bench [part …] [-quick] [-write]: measure what events cost, against other clients; see test/bench/README.md
	bench_build
	node test/bench/bench.mjs "$@"
}

cmd_size() { # size: what the WebAssembly binary and the scripts weigh, and what contributes
	need_go
	need_node
	cmd_wasm
	mkdir -p build/bench
	local modfile
	modfile=$(lean_modfile)
	GOOS=js GOARCH=wasm go build -modfile="$modfile" -trimpath -buildvcs=false -ldflags='-w -buildid=' -o build/bench/named.wasm ./wasm
	node test/bench/size.mjs
}

cmd_package() { # package: build the npm tarball
	cmd_wasm
	npm_install
	say "declarations and tarball"
	rm -rf web/dist/types
	web/node_modules/.bin/tsc -p web
	cp LICENSE README.md web
	(cd web && npm pack --silent --pack-destination ../build)
	rm web/LICENSE web/README.md
	ls -l build/*.tgz
}

cmd_simulate() { # simulate [-seeds N] [-from N] [-state FILE] | -seed N: live through seeds of the simulation, or through one with its trace
	need_go
	go build -o build/bin/simulate ./test/simulation/cmd/simulate
	build/bin/simulate "$@"
}

cmd_mutants() { # mutants [-seeds N] [-only TEXT]: put bugs into the session, one at a time, and see that the simulation finds each
	need_go
	go run ./test/simulation/cmd/mutants "$@"
}

cmd_spec() { # spec: what of the protocol is typed, and which captures exercised it
	need_go
	go run ./gateway/event/internal/gen -counts -coverage test/captures
}

cmd_help() { # help: this list
	sed -n 's/^cmd_[a-z]*() { # /  .\/build.sh /p' build.sh | sort
}

verb=${1:-help}
declare -F "cmd_$verb" >/dev/null || { cmd_help >&2; die "unknown verb: $verb"; }
shift || true
"cmd_$verb" "$@"
