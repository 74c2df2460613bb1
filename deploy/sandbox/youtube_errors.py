"""Error bodies of the YouTube Data API v3.

Docs: "YouTube Data API - Errors" (developers.google.com/youtube/v3/docs/errors, read 2026-11).
"""

from __future__ import annotations

from aiohttp import web

from deploy.sandbox.context import Refused

__all__ = ["refusal", "refuse"]

_QUOTA_WORDS = (
    "The request cannot be completed because you have exceeded your "
    '<a href="/youtube/v3/getting-started#quota">quota</a>.'
)
_CREDENTIAL_WORDS = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)

REASONS: dict[str, tuple[int, str, str]] = {
    # reason: (HTTP status, domain, message)
    "authError": (401, "global", _CREDENTIAL_WORDS),
    "required": (401, "global", "Login Required."),
    "authorizationRequired": (
        401,
        "youtube.common",
        "The request uses the <code>mine</code> parameter but is not properly authorized.",
    ),
    "youtubeSignupRequired": (401, "youtube.header", "Unauthorized"),
    "insufficientPermissions": (403, "global", "Request had insufficient authentication scopes."),
    "forbidden": (403, "youtube.common", "The request is not properly authorized."),
    "quotaExceeded": (403, "youtube.quota", _QUOTA_WORDS),
    "rateLimitExceeded": (429, "youtube.quota", "The request was sent too soon after earlier ones. Slow down."),
    "userRateLimitExceeded": (403, "usageLimits", "User Rate Limit Exceeded"),
    "uploadLimitExceeded": (
        400,
        "youtube.video",
        "The user has exceeded the number of videos they may upload.",
    ),
    "invalidTitle": (400, "youtube.video", "The request metadata specifies an invalid or empty video title."),
    "invalidDescription": (400, "youtube.video", "The request metadata specifies an invalid video description."),
    "invalidTags": (400, "youtube.video", "The request metadata specifies invalid video keywords."),
    "invalidCategoryId": (
        400,
        "youtube.video",
        "The <code>snippet.categoryId</code> property specifies an invalid category ID.",
    ),
    "invalidPublishAt": (400, "youtube.video", "The request metadata specifies an invalid scheduled publishing time."),
    "invalidVideoMetadata": (400, "youtube.video", "The request metadata is invalid."),
    "invalidFilename": (400, "youtube.video", "The video filename specified in the Slug header is invalid."),
    "mediaBodyRequired": (400, "youtube.video", "The request does not include the video content."),
    "missingRequiredParameter": (400, "youtube.parameter", "Required parameter is missing."),
    "incompatibleParameters": (
        400,
        "youtube.parameter",
        "Incompatible parameters specified in the request.",
    ),
    "invalidFilters": (400, "youtube.common", "The request specifies invalid filter parameters."),
    "invalidPageToken": (400, "youtube.parameter", "The request specifies an invalid page token."),
    "unknownPart": (400, "youtube.part", "Unknown part."),
    "unexpectedPart": (400, "youtube.part", "The request body has parts that the part parameter does not name."),
    "badRequest": (400, "global", "Bad Request"),
    "parseError": (400, "global", "Parse Error"),
    "badContent": (400, "global", "Media type is not supported."),
    "uploadTooLarge": (413, "global", "The upload is too large."),
    "invalidImage": (400, "youtube.thumbnail", "The provided image content is invalid."),
    "invalidMetadata": (400, "youtube.caption", "The request contains invalid metadata values."),
    "contentRequired": (400, "youtube.caption", "The request does not contain the caption track contents."),
    "nameTooLong": (400, "youtube.caption", "The name of the caption track is too long."),
    "captionExists": (409, "youtube.caption", "The video already has a caption track with this language and name."),
    "uploadRateLimitExceeded": (429, "youtube.thumbnail", "The channel has uploaded too many thumbnails recently."),
    "notFound": (404, "global", "Not Found"),
    "videoNotFound": (404, "youtube.video", "The video that you are trying to retrieve cannot be found."),
    "playlistNotFound": (404, "youtube.playlistItem", "The playlist identified with the playlistId cannot be found."),
    "internalError": (500, "youtube.common", "Internal error encountered."),
    "backendError": (503, "global", "Backend Error"),
}
_USUAL = {
    400: "badRequest",
    401: "authError",
    403: "forbidden",
    404: "notFound",
    429: "rateLimitExceeded",
    500: "internalError",
    503: "backendError",
}
_STATUS = {
    401: "UNAUTHENTICATED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


def refusal(
    status: int,
    reason: str = "",
    message: str = "",
    *,
    location: str = "",
    location_type: str = "parameter",
) -> web.Response:
    """Write the error envelope; `reason` "" means the usual one for the status."""
    reason = reason or _USUAL.get(status, "backendError")
    _, domain, words = REASONS.get(reason, (status, "youtube.common", "The request failed."))
    message = message or words
    error: dict[str, object] = {"message": message, "domain": domain, "reason": reason}
    headers = {"Cache-Control": "private"}
    if status == 401:
        location, location_type = location or "Authorization", "header"
        headers["WWW-Authenticate"] = 'Bearer realm="https://accounts.google.com/", error="invalid_token"'
    if location:
        error |= {"location": location, "locationType": location_type}
    envelope: dict[str, object] = {"code": status, "message": message, "errors": [error]}
    if status in _STATUS:
        envelope["status"] = _STATUS[status]
    elif reason == "insufficientPermissions":
        envelope["status"] = "PERMISSION_DENIED"
    return web.json_response({"error": envelope}, status=status, headers=headers)


def refuse(reason: str, message: str = "", *, location: str = "", location_type: str = "parameter") -> Refused:
    """Make the exception for a reason, with its own HTTP status."""
    return Refused(refusal(REASONS[reason][0], reason, message, location=location, location_type=location_type))
