#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""browser: looks at a page with headless Chromium, over its DevTools protocol through a pipe, and says what is there.

usage: browser.py URL SECONDS EXPRESSION…        the value of each expression as a line of JSON, SECONDS after the status page has said how the
                                                 node is; then, a line each, "console: …" for what the page complained about
       browser.py --then COMMAND URL …           the same, but COMMAND is run when the page has said it
       browser.py --shots PREFIX URL SECONDS     PREFIX-{desktop,phone}-{light,dark}.png instead

Chromium's profile goes into a folder that is removed. It runs where this does: enter the namespace first.
"""
import base64
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time

SHOTS = {"desktop": (1280, 1180, 1, False), "phone": (390, 844, 2, True)}
ANSWER_S = 30


class Browser:
    def __init__(self, profile):
        to_browser, self.to = os.pipe()
        self.of, of_browser = os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions"]
        # It reads at 3 and writes at 4.
        command = ["sh", "-c", f'exec "$@" 3<&{to_browser} 4>&{of_browser}', "sh", "chromium", *flags, "--remote-debugging-pipe",
                   "--user-data-dir=" + profile, "about:blank"]
        self.process = subprocess.Popen(command, pass_fds=(to_browser, of_browser), stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(to_browser)
        os.close(of_browser)
        self.buffer = b""
        self.n_asked = 0
        self.events = []
        self.session = None

    def read(self, until):
        """One message, or None when the time is over."""
        while b"\0" not in self.buffer:
            if not select.select([self.of], [], [], max(0, until - time.monotonic()))[0]:
                return None
            data = os.read(self.of, 65536)
            if not data:
                sys.exit("browser: chromium has ended")
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def ask(self, method, **params):
        self.n_asked += 1
        question = {"id": self.n_asked, "method": method, "params": params}
        if self.session:
            question["sessionId"] = self.session
        os.write(self.to, json.dumps(question).encode() + b"\0")
        until = time.monotonic() + ANSWER_S
        while message := self.read(until):
            if message.get("id") == self.n_asked:
                if "error" in message:
                    sys.exit(f"browser: {method}: {message['error']['message']}")
                return message["result"]
            self.events.append(message)
        sys.exit(f"browser: {method}: no answer")

    def open(self, url):
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(domain + ".enable")
        self.ask("Page.navigate", url=url)

    def wait(self, seconds):
        until = time.monotonic() + seconds
        while message := self.read(until):
            self.events.append(message)

    def wait_for(self, expression):
        until = time.monotonic() + ANSWER_S
        while not self.value(expression) and time.monotonic() < until:
            self.wait(0.1)

    def value(self, expression):
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return result["result"].get("value", result.get("exceptionDetails", {}).get("text"))

    def complaints(self):
        for event in self.events:
            params = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                yield details.get("exception", {}).get("description", details["text"])
            elif event.get("method") == "Log.entryAdded":
                yield f"{params['entry']['text']} {params['entry'].get('url', '')}"
            elif event.get("method") == "Runtime.consoleAPICalled":
                yield json.dumps([argument.get("value") for argument in params["args"]])

    def shoot(self, prefix):
        for device, (width, height, scale, is_mobile) in SHOTS.items():
            for scheme in ("light", "dark"):
                self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=is_mobile)
                self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
                self.wait(1.5)
                shot = self.ask("Page.captureScreenshot", format="png")
                with open(f"{prefix}-{device}-{scheme}.png", "wb") as file:
                    file.write(base64.b64decode(shot["data"]))

    def close(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def main(arguments):
    prefix = command = None
    if arguments[0] == "--shots":
        prefix, arguments = arguments[1], arguments[2:]
    elif arguments[0] == "--then":
        command, arguments = arguments[1], arguments[2:]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(profile)
        try:
            browser.open(arguments[0])
            browser.wait_for("document.title.includes('·')")
            if command:
                subprocess.run(command, shell=True, check=True)
            browser.wait(float(arguments[1]))
            if prefix:
                browser.shoot(prefix)
            for expression in arguments[2:]:
                print(json.dumps(browser.value(expression)))
            for complaint in browser.complaints():
                print("console:", complaint)
        finally:
            browser.close()


main(sys.argv[1:])
