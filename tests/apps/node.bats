#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# A web server on Node.js with state in memory, and a client that stays connected.

load apps

@test "node: a server's memory and its client's connection survive rounds" {
	local round
	need_command node
	make_app_bundle node /data/server.js
	cat >"$B/rootfs/data/server.js" <<-'END'
		const http = require("http");
		const crypto = require("crypto");
		// made when the program starts: another one would have another
		const token = crypto.randomBytes(16).toString("hex");
		const kept = Array.from({length: 20000}, (_, i) => ({i, text: `${token}-${i}`}));
		let requests = 0;
		const hash = () => crypto.createHash("sha256").update(JSON.stringify(kept)).digest("hex");
		const first = hash();
		setInterval(() => { if (global.gc) global.gc(); }, 50);
		const server = http.createServer((request, response) => {
			requests++;
			const same = requests % 100 ? true : hash() === first;
			response.end(`${process.pid} ${token} ${requests} ${same}`);
		});
		server.keepAliveTimeout = 3600000;
		server.listen(8080, "127.0.0.1");
	END
	start_app
	start_client /
	for ((round = 0; round < FIRN_ROUNDS; round++)); do
		one_round
		client_goes_on
	done
	touch "$T/stop"
	wait "$CLIENT"
	CLIENT=
	equal "$(cut -d' ' -f1,2 "$T/answers" | sort -u | wc -l)" 1 "number of programs that answered"
	equal "$(cut -d' ' -f3 "$T/answers" | tail -n 1)" "$(answers)" "requests counted"
	equal "$(cut -d' ' -f4 "$T/answers" | sort -u)" true "hash of its memory is the same"
}
