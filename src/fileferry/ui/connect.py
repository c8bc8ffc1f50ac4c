"""The page that shows how programs do what people do here, with the address of this server."""

from __future__ import annotations

from litestar import Response, get

from fileferry.engine.engine import Engine
from fileferry.ui import pages
from fileferry.ui.visits import Visitor
from fileferry.web.requests import AnyRequest, base_url


@get("/connect")
async def show_connect(request: AnyRequest, engine: Engine, visitor: Visitor) -> Response[str]:
    """Show lines for a shell, Python, JavaScript, rclone, agents and clients of tus."""
    base = base_url(request, engine)
    lines = [
        ("curl", f'curl -fT report.pdf -H "Authorization: Bearer $FILEFERRY_KEY" {base}/api/upload/'),
        (
            "Command line",
            f"pip install fileferry\nexport FILEFERRY_URL={base} FILEFERRY_KEY=ff_…\nfileferry put report.pdf\nfileferry ls",
        ),
        (
            "Python",
            f'from fileferry import Client\n\nwith Client("{base}", "ff_…") as client:\n'
            '    file = client.upload("report.pdf", expires_in="24h")\n    print(file.url)',
        ),
        (
            "JavaScript (Node.js)",
            'import { readFile } from "node:fs/promises";\n\n'
            f'const answer = await fetch("{base}/api/upload/reports/report.pdf", {{\n  method: "PUT",\n'
            "  headers: { Authorization: `Bearer ${process.env.FILEFERRY_KEY}` },\n"
            '  body: await readFile("report.pdf"),\n});\nconsole.log((await answer.json()).url);',
        ),
        (
            "rclone",
            "# There and back again; remote: is one that rclone knows.\nrclone cat remote:report.pdf | "
            f'curl -fT - -H "Authorization: Bearer $FILEFERRY_KEY" -H "Accept: text/plain" {base}/api/upload/report.pdf\n'
            "rclone copyurl URL-OF-THE-FILE remote:report.pdf",
        ),
        (
            "Agents",
            f"# With a shell: how to use curl here.\ncurl -fsSo SKILL.md {base}/SKILL.md\n# Tools, for who speaks MCP.\n"
            f"claude mcp add --transport http fileferry {base}/mcp "
            '--header "Authorization: Bearer $FILEFERRY_KEY"',
        ),
        ("tus clients", f"endpoint: {base}/tus\nheaders: Authorization: Bearer ff_…"),
    ]
    return await pages.page(request, visitor, "connect.html", "Connect", "/connect", lines=lines, base=base)


handlers = [show_connect]
