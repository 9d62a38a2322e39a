# SPDX-License-Identifier: GPL-2.0-only
"""keepalive.py PORT PATH ANSWERS STOP: asks a web server for PATH on one connection until the
file STOP exists, and appends each answer to ANSWERS. It never connects twice."""
import http.client
import os
import sys
import time

port, path, answers, stop = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]


def connect():
    for _ in range(200):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.connect()
            return connection
        except ConnectionRefusedError:
            time.sleep(0.05)
    sys.exit("no server")


connection = connect()
socket = connection.sock
with open(answers, "a", buffering=1, encoding="utf-8") as out:
    while not os.path.exists(stop):
        connection.request("GET", path, headers={"Connection": "keep-alive"})
        response = connection.getresponse()
        body = response.read().decode().strip()
        if response.status != 200 or connection.sock is not socket:
            sys.exit(f"status {response.status}, or the connection was closed")
        out.write(body + " " + response.getheader("X-Connection", "") + "\n")
        time.sleep(0.002)
