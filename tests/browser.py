"""A page, as a headless browser lays it out."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

_MEASURE = """<!DOCTYPE html><body><iframe id="page" style="border:0;width:{width}px;height:900px"
 src="{source}"></iframe><script>
onload = () => {{
  const inside = document.getElementById("page").contentDocument;
  inside.querySelectorAll("details").forEach(part => part.open = true);
  const wide = [...inside.querySelectorAll("main *")].filter(part => !part.closest(".scroll")
    && part.getBoundingClientRect().right > {width} + 1).map(part => part.outerHTML.slice(0, 80));
  const small = [...inside.querySelectorAll("svg text")].map(part => part.getBoundingClientRect().height);
  const out = {{
    scroll: inside.documentElement.scrollWidth, wide,
    sections: inside.querySelectorAll("section").length,
    unseen: [...inside.querySelectorAll("img")].filter(image => !image.naturalWidth).length,
    smallest: Math.min(...small)}};
  document.body.dataset.out = JSON.stringify(out);
}};
</script></body>"""


def measured(chromium: str, page: Path, width: int) -> dict[str, Any]:
    """A page and the width of a window in; how wide it is, what of it is too wide, and more, out; nothing complained.

    Other files are written beside the page.
    """
    outer = page.with_name("outer.html")
    outer.write_text(_MEASURE.format(width=width, source=page.name), encoding="utf-8")
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --disable-dev-shm-usage --allow-file-access-from-files "
        "--enable-logging=stderr --virtual-time-budget=8000 --dump-dom"
    )
    done = subprocess.run(
        [
            chromium,
            *flags.split(),
            f"--user-data-dir={page.with_name('profile')}",
            f"--window-size={width + 100},1000",
            outer.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert "CONSOLE" not in done.stderr
    (told,) = re.findall(r'data-out="([^"]+)"', done.stdout)
    text = told.replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    found: dict[str, Any] = json.loads(text)
    return found
