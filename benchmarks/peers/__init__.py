"""Yardsticks for `make bench`: servers that decode the same requests and answer a constant.

Shapes: each runs as a process of its own on a free port and prints one JSON line, {"port": ..., "pid": ...}.
"""

from typing import Final

ANSWER: Final = (
    b'{"id":"0","seatbid":[{"bid":[{"id":"1","impid":"1","price":1.25,"adm":"<a href=\\"https://shop.example/\\">'
    b'<img src=\\"https://shop.example/ad.png\\"></a>","adomain":["shop.example"],"crid":"c1","w":300,"h":250,'
    b'"mtype":1}]}],"cur":"USD"}'
)
