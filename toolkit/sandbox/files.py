"""Files that bots uploaded, kept in memory as long as there is room."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from toolkit.sandbox.args import Args, Upload
from toolkit.sandbox.replies import ApiError, bad_request

MAX_FILE = 20_000_000
"""The largest file that getFile serves: https://core.telegram.org/bots/api#getfile."""
MAX_KEPT = 32_000_000


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file.

    Parameters:
        id: Telegram's ``file_id``.
        folder: what kind it is, in the plural, as in Telegram's paths.
        name: as it was uploaded.
    """

    id: str
    folder: str
    name: str
    content_type: str
    content: bytes

    @property
    def path(self) -> str:
        """Where it can be downloaded, below ``/file/bot<token>/``."""
        return f"{self.folder}/{self.id}{self.name[self.name.rfind('.') :] if '.' in self.name else ''}"

    @property
    def object(self) -> dict[str, str | int]:
        """The fields that every kind of file has."""
        return {"file_id": self.id, "file_unique_id": self.id[-16:], "file_size": len(self.content)}


class FileStore:
    """The files of one bot.

    Parameters:
        limit: bytes that are kept; the oldest files make room for new ones.
    """

    def __init__(self, limit: int = MAX_KEPT) -> None:
        self._limit = limit
        self._size = 0
        self._files: OrderedDict[str, StoredFile] = OrderedDict()

    def get(self, file_id: str) -> StoredFile | None:
        """The file of that id."""
        return self._files.get(file_id)

    def at(self, path: str) -> StoredFile | None:
        """The file at a download path."""
        found = self.get(path.rpartition("/")[2].partition(".")[0])
        return found if found and found.path == path else None

    def from_call(self, args: Args, name: str, folder: str) -> StoredFile:
        """The file that a parameter uploads or names.

        Raises:
            ApiError: 400 or 413, there is none or it is too large.
        """
        return self.resolve(args, name, args.text(name), folder)

    def resolve(self, args: Args, part: str, value: str, folder: str) -> StoredFile:
        """The file uploaded as ``part`` or ``attach://…``, or named by id or URL.

        A URL is not fetched: the file stays empty.

        Raises:
            ApiError: 400 or 413, there is none or it is too large.
        """
        upload = args.files.get(value.removeprefix("attach://") if value else part)
        if upload is not None:
            return self._keep(upload, folder)
        if value.startswith(("http://", "https://")):
            name = value.partition("?")[0].rpartition("/")[2]
            return self._keep(Upload(name, "application/octet-stream", b""), folder, value)
        if not value:
            raise bad_request(f"there is no {part} in the request")
        found = self.get(value)
        if found is None:
            raise bad_request("wrong file identifier/HTTP URL specified")
        return found

    def _keep(self, upload: Upload, folder: str, source: str = "") -> StoredFile:
        if len(upload.content) > MAX_FILE:
            raise ApiError(413, "Request Entity Too Large")
        digest = hashlib.sha256(f"{folder}\0{upload.name}\0{source}\0".encode() + upload.content).hexdigest()
        file = StoredFile(f"sandbox{digest[:40]}", folder, upload.name, upload.content_type, upload.content)
        if file.id not in self._files:
            self._size += len(file.content)
        self._files[file.id] = file
        while self._size > self._limit or len(self._files) > self._limit // 1000:
            self._size -= len(self._files.popitem(last=False)[1].content)
        return file
