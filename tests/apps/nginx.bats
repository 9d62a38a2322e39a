#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# nginx with two workers, and a client that stays on one keep-alive connection.

load apps

make_nginx() {
	make_app_bundle nginx -c /etc/nginx.conf
	mkdir -p "$B/rootfs/var/lib/nginx"
	cat >"$B/rootfs/etc/nginx.conf" <<-'END'
		daemon off;
		user root root;
		worker_processes 2;
		pid /tmp/nginx.pid;
		error_log /tmp/error.log;
		events { worker_connections 64; }
		http {
			access_log /tmp/access.log;
			keepalive_requests 10000000;
			keepalive_timeout 3600s;
			server {
				listen 8080;
				add_header X-Connection "$pid $connection $connection_requests";
				location / { return 200 "hello"; }
			}
		}
	END
}

@test "nginx: workers and a keep-alive connection survive rounds of checkpoint and restore" {
	local round before
	need_command nginx
	make_nginx
	start_app
	start_client /
	before=$(pids_inside)
	equal "$(grep -c nginx <<<"$before")" 3 "number of processes"
	for ((round = 0; round < FIRN_ROUNDS; round++)); do
		one_round
		client_goes_on
		equal "$(pids_inside)" "$before" pids
	done
	touch "$T/stop"
	wait "$CLIENT"
	CLIENT=
	# one worker, one connection, and its requests counted without a gap
	equal "$(cut -d' ' -f2,3 "$T/answers" | sort -u | wc -l)" 1 "number of connections"
	equal "$(cut -d' ' -f4 "$T/answers" | tail -n 1)" "$(answers)" "requests counted"
}
