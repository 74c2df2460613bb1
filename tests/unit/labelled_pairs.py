"""Pairs of candidates, labelled by hand: one work or two, and which difficulty they stand for.

Made up after what people do to videos. Each pair says only what platforms say of such works.
"""

# ruff: noqa: E501 - one pair, one line: they are read beside each other

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from contracts.ids import ItemId
from contracts.platform import Candidate
from contracts.rights import RightsRecord

__all__ = ["PAIRS", "Pair"]

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
YT = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
UUID = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
SHORT = "kkGMgK9ZtnKfYAgnEtQxbv"


class Pair(NamedTuple):
    """Two candidates, and the truth about them. shown: the data can show that they are one."""

    name: str
    a: Candidate
    b: Candidate
    same: bool
    looks: tuple[int | None, int | None] = (None, None)
    shown: bool = True


def at(url: str, platform: str = "web", title: str = "", **more: Any) -> Candidate:
    """A candidate of which the address is what matters."""
    return video(platform, title or "Untitled", None, url=url, **more)


def video(platform: str, title: str, seconds: float | None, creator: str | None = None, **more: Any) -> Candidate:
    number = sum(map(ord, repr((platform, title, seconds, creator, sorted(more.items())))))
    name = more.pop("id", f"n{number}")
    days = more.pop("days", None)
    fields: dict[str, Any] = {
        "item_id": ItemId(f"{platform}:{name}"),
        "platform": platform,
        "platform_id": name,
        "url": f"https://{platform}.invalid/",
        "title": title,
        "creator": creator,
        "duration_us": None if seconds is None else round(seconds * 1e6),
        "published_at": None if days is None else AT - timedelta(days=days),
        "observed_at": AT,
        "rights": RightsRecord(licence="unknown"),
    }
    return Candidate(**(fields | more))


# Addresses ----------------------------------------------------------------------------------------

ONE_ADDRESS = (
    (YT, "https://youtu.be/dQw4w9WgXcQ?si=abcdefgh"),
    (YT, "https://m.youtube.com/watch?v=dQw4w9WgXcQ&feature=share"),
    (YT, "https://music.youtube.com/watch?v=dQw4w9WgXcQ&list=RDAMVM"),
    (YT, "https://www.youtube.com/shorts/dQw4w9WgXcQ"),
    (YT, "https://www.youtube.com/embed/dQw4w9WgXcQ?start=10"),
    (YT, "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ"),
    (YT, "http://youtube.com/watch?app=desktop&v=dQw4w9WgXcQ&t=42s&utm_source=x"),
    (YT, "https://www.youtube.com/live/dQw4w9WgXcQ?feature=shared"),
    ("https://vimeo.com/76979871", "https://player.vimeo.com/video/76979871?h=8272103f6e"),
    ("https://vimeo.com/76979871", "https://vimeo.com/channels/staffpicks/76979871"),
    ("https://vimeo.com/76979871/8272103f6e", "https://vimeo.com/groups/ocean/videos/76979871"),
    ("https://www.dailymotion.com/video/x8abcde_deep-sea", "https://dai.ly/x8abcde"),
    ("https://www.dailymotion.com/embed/video/x8abcde", "https://geo.dailymotion.com/player.html?video=x8abcde"),
    ("https://www.tiktok.com/@diver/video/7212345678901234567?is_from_webapp=1", "https://m.tiktok.com/v/7212345678901234567.html"),
    ("https://www.tiktok.com/@diver/video/7212345678901234567", "https://www.tiktok.com/embed/v2/7212345678901234567"),
    ("https://www.instagram.com/reel/CxYz123AbCd/?igsh=abc", "https://www.instagram.com/p/CxYz123AbCd/"),
    ("https://www.instagram.com/diver/reel/CxYz123AbCd/", "https://instagram.com/reels/CxYz123AbCd"),
    ("https://twitter.com/diver/status/1712345678901234567?s=20", "https://x.com/i/web/status/1712345678901234567"),
    ("https://x.com/diver/status/1712345678901234567/video/1", "https://mobile.twitter.com/diver/status/1712345678901234567"),
    ("https://www.reddit.com/r/videos/comments/1abcde/deep_sea/", "https://redd.it/1abcde"),
    ("https://old.reddit.com/r/videos/comments/1abcde/deep_sea/?utm_name=x", "https://www.reddit.com/comments/1abcde"),
    (f"https://peertube.example/w/{SHORT}", f"https://peertube.example/videos/watch/{UUID}"),
    (f"https://peertube.example/videos/watch/{UUID}", f"https://mirror.example/videos/embed/{UUID}"),
    ("https://archive.org/details/DeepSea1958", "https://archive.org/download/DeepSea1958/DeepSea1958_512kb.mp4"),
    ("https://archive.org/embed/DeepSea1958", "https://www.archive.org/details/DeepSea1958?autoplay=1"),
    ("https://commons.wikimedia.org/wiki/File:Deep_sea.webm", "https://commons.m.wikimedia.org/wiki/File:Deep%20sea.webm"),
    ("https://commons.wikimedia.org/wiki/File:Deep_sea.webm", "https://upload.wikimedia.org/wikipedia/commons/transcoded/a/ab/Deep_sea.webm/Deep_sea.webm.480p.vp9.webm"),
    ("https://www.bilibili.com/video/BV1xx411c7mD/", "https://player.bilibili.com/player.html?bvid=BV1xx411c7mD&p=1"),
    ("https://clips.twitch.tv/BraveDeepSeaSquid-x1", "https://www.twitch.tv/diver/clip/BraveDeepSeaSquid-x1?filter=clips"),
    ("https://rumble.com/v2abcde-deep-sea.html", "https://rumble.com/v2abcde-deep-sea.html?mref=1&mc=2"),
    ("https://www.pexels.com/video/waves-on-the-shore-1093662/", "https://www.pexels.com/de-de/video/1093662/"),
    ("https://pixabay.com/videos/ocean-waves-31377/", "https://pixabay.com/de/videos/id-31377/"),
    ("https://www.facebook.com/watch/?v=1234567890", "https://www.facebook.com/diver/videos/1234567890/"),
    ("https://www.threads.net/@diver/post/CxYz123AbCd", "https://www.threads.com/@diver/post/CxYz123AbCd?xmt=1"),
    ("https://blog.example/2026/creatures-of-the-deep?utm_source=mail", "https://www.blog.example/2026/creatures-of-the-deep/?fbclid=1"),
)  # fmt: skip
TWO_ADDRESSES = (
    (YT, "https://www.youtube.com/watch?v=dQw4w9WgXcR"),
    ("https://www.youtube.com/@diver", "https://www.youtube.com/@diver"),
    ("https://www.youtube.com/playlist?list=PLabc", "https://www.youtube.com/playlist?list=PLabc"),
    ("https://www.youtube.com/embed/videoseries?list=PLabc", "https://www.youtube.com/embed/videoseries?list=PLxyz"),
    ("https://vimeo.com/76979871", "https://vimeo.com/76979872"),
    ("https://vimeo.com/channels/staffpicks", "https://vimeo.com/channels/staffpicks"),
    ("https://www.tiktok.com/@diver", "https://www.tiktok.com/@diver"),
    ("https://vm.tiktok.com/ZMabc/", "https://vm.tiktok.com/ZMabd/"),
    ("https://www.instagram.com/diver/", "https://www.instagram.com/diver/"),
    ("https://archive.org/details/series/part1.mp4", "https://archive.org/details/series/part2.mp4"),
    ("https://www.bilibili.com/video/BV1xx411c7mD?p=1", "https://www.bilibili.com/video/BV1xx411c7mD?p=2"),
    ("https://commons.wikimedia.org/wiki/Category:Deep_sea", "https://commons.wikimedia.org/wiki/Category:Deep_sea"),
    ("https://commons.wikimedia.org/wiki/File:Deep_sea_1.webm", "https://commons.wikimedia.org/wiki/File:Deep_sea_2.webm"),
    ("https://www.reddit.com/r/videos/", "https://www.reddit.com/r/videos/"),
    ("https://rumble.com/embed/v2abcde/", "https://rumble.com/v2abcde-another.html"),
    ("https://blog.example/", "https://blog.example/"),
    ("https://forum.example/viewtopic.php?t=123456", "https://forum.example/viewtopic.php?t=123457"),
    (f"https://peertube.example/w/{SHORT}", "https://peertube.example/w/kkGMgK9ZtnKfYAgnEtQxbw"),
)  # fmt: skip

# Posts that link ----------------------------------------------------------------------------------

POST = {"id": "1abcde", "url": "https://www.reddit.com/r/videos/comments/1abcde/look/"}
TUBE = at(YT, "youtube", id="dQw4w9WgXcQ")
LINKED = (
    Pair("post links to the video", at(platform="reddit", links=("https://youtu.be/dQw4w9WgXcQ",), **POST), TUBE, True),
    Pair("posts share one video", at(platform="reddit", links=(YT,), **POST),
         at("https://bsky.app/profile/a/post/1", "bluesky", links=("https://youtu.be/dQw4w9WgXcQ?t=1",)), True),
    Pair("post shares a post", at(platform="reddit", links=("https://redd.it/2bcdef",), **POST),
         at("https://www.reddit.com/r/a/comments/2bcdef/x/", "reddit", id="2bcdef"), True),
    Pair("search result is the video", at("https://m.youtube.com/watch?v=dQw4w9WgXcQ", "duckduckgo"), TUBE, True),
    Pair("post with two videos", at(platform="reddit", links=(YT, "https://vimeo.com/76979871"), **POST), TUBE, False),
    Pair("description names another video",
         at("https://vimeo.com/11111111", "vimeo", links=(YT,), duration_us=60_000_000), TUBE, False),
    Pair("own video with a link", at(platform="mastodon", url="https://m.example/@a/1234567890",
         media_url="https://m.example/v.mp4", links=(YT,)), TUBE, False),
    Pair("link to the channel", at(platform="reddit", links=("https://www.youtube.com/@diver",), **POST),
         at("https://www.youtube.com/@diver", "youtube", id="dQw4w9WgXcQ"), False),
)  # fmt: skip

# Titles and lengths -------------------------------------------------------------------------------

SQUID = "Giant squid filmed alive off the coast of Japan"
BAKER = "Baking sourdough bread over an open fire in Iceland"

SAME_TITLE = (
    Pair("cross-post, same creator", video("youtube", SQUID, 61.4, "Ocean Lab"), video("tiktok", SQUID, 61, "Ocean Lab"), True),
    Pair("case", video("youtube", SQUID, 61.4, "Ocean Lab"), video("tiktok", SQUID.upper(), 61, "oceanlab"), True),
    Pair("emoji", video("youtube", SQUID, 61.4, "Ocean Lab"), video("instagram", f"🦑 {SQUID}!! 😱", 61.2, "Ocean Lab"), True),
    Pair("hashtags", video("youtube", SQUID, 52.4, "Ocean Lab"), video("tiktok", f"{SQUID} #squid #fyp", 52, "Ocean Lab"), True),
    Pair("shorts tag", video("youtube", f"{SQUID} #Shorts", 52.4, "Ocean Lab"), video("facebook", SQUID, 52, "Ocean Lab"), True),
    Pair("official video", video("youtube", "Northern Tide - Paper Lanterns (Official Video)", 221, "Northern Tide"),
         video("dailymotion", "Northern Tide - Paper Lanterns [HD]", 222, "Northern Tide"), True, shown=False),
    Pair("official, long title", video("youtube", f"{SQUID} (Official Video)", 221, "Ocean Lab"),
         video("dailymotion", f"{SQUID} [4K]", 222, "Ocean Lab"), True),
    Pair("channel at the end", video("youtube", f"{SQUID} | Ocean Lab", 221, "Ocean Lab"), video("peertube", SQUID, 221.3, "Ocean Lab"), True),
    Pair("channel in front", video("youtube", f"Ocean Lab - {SQUID}", 221, "Ocean Lab"), video("vimeo", SQUID, 221.3, "Ocean Lab"), True),
    Pair("re-upload, other creator", video("youtube", SQUID, 187.4, "Ocean Lab"), video("dailymotion", f"{SQUID} (REUPLOAD)", 187, "clips4u"), True),
    Pair("re-upload, creator not told", video("youtube", SQUID, 187.4, "Ocean Lab"), video("rumble", SQUID, 187), True),
    Pair("repost on the same platform", video("reddit", BAKER, 187.4, "ann"), video("reddit", BAKER, 187, "bob"), True),
    Pair("repost in front", video("reddit", BAKER, 187.4, "ann"), video("x", f"REPOST: {BAKER}", 187, "bob"), True),
    Pair("credit at the end", video("tiktok", BAKER, 47.4, "ann"), video("instagram", f"{BAKER} via @ann", 47, "bob"), True),
    Pair("credit after a colon", video("tiktok", BAKER, 47.4, "ann"), video("instagram", f"{BAKER} cr: ann", 47, "bob"), True),
    Pair("credit apart", video("tiktok", BAKER, 47.4, "ann"), video("instagram", f"{BAKER} | credit ann.bakes", 47, "bob"), True),
    Pair("full width letters", video("youtube", BAKER, 187.4, "ann"), video("bilibili", "Ｂaking sourdough bread over an open fire in Ｉceland", 187, "bob"), True),
    Pair("punctuation", video("youtube", "Baking sourdough bread, over an open fire — in Iceland", 187.4, "ann"), video("vimeo", BAKER, 187.5, "bob"), True),
    Pair("mirror on PeerTube", video("youtube", BAKER, 612.3, "ann", days=900), video("peertube", BAKER, 612, "archive", days=3), True),
    Pair("Commons copy", video("vimeo", "Lava flows of the Holuhraun eruption seen from a drone", 95.2, "ann"),
         video("wikimedia_commons", "Lava flows of the Holuhraun eruption seen from a drone", 95.16, "Ann Example"), True),
    Pair("Japanese", video("youtube", "【公式】深海に生きる巨大イカの撮影に成功した瞬間", 83.2, "海洋研究所"),
         video("bilibili", "深海に生きる巨大イカの撮影に成功した瞬間", 83, "reposter"), True),
    Pair("Chinese", video("bilibili", "冰岛火山喷发航拍震撼全过程记录片段", 83.2, "航拍者"), video("youtube", "冰岛火山喷发航拍震撼全过程记录片段", 83, "x"), True),
    Pair("Hindi", video("youtube", "मुंबई की सड़कों पर सबसे तीखा वड़ा पाव बनाने वाला", 83.2, "खाना"), video("facebook", "मुंबई की सड़कों पर सबसे तीखा वड़ा पाव बनाने वाला 🔥", 83, "x"), True),
    Pair("Cyrillic case", video("youtube", "Извержение вулкана Толбачик снятое с вертолёта зимой", 83.2, "a"), video("rumble", "ИЗВЕРЖЕНИЕ ВУЛКАНА ТОЛБАЧИК СНЯТОЕ С ВЕРТОЛЁТА ЗИМОЙ", 83, "b"), True),
    Pair("pictures alike, short title", video("youtube", "Paper Lanterns", 201.4, "Northern Tide"), video("dailymotion", "Paper lanterns (official video)", 201, "music4u"), True, (0x0F0F3C3C5A5A9669, 0x0F0F3C3C5A5A9668)),
    Pair("pictures alike, round length", video("youtube", "Squid eats camera", 60, "a"), video("tiktok", "squid eats camera", 60.2, "b"), True, (0x0F0F3C3C5A5A9669, 0x0F0F3C3C5A5A966B)),
    Pair("re-upload by the creator, pictures alike", video("youtube", SQUID, 187, "Ocean Lab"), video("youtube", f"{SQUID} (re-upload)", 187, "Ocean Lab"), True, (0x0F0F3C3C5A5A9669, 0x0F0F3C3C5A5A9661), shown=False),
    Pair("language told once", video("youtube", SQUID, 187, "a", language="en"), video("rumble", SQUID, 187.4, "b"), True),
    Pair("language with region", video("youtube", SQUID, 187, "a", language="en-US"), video("rumble", SQUID, 187.4, "b", language="en-GB"), True),
    Pair("long work, three seconds", video("youtube", SQUID, 5400, "a"), video("peertube", SQUID, 5402.9, "b"), True),
    Pair("same day on two platforms, round", video("youtube", SQUID, 60, "Ocean Lab", days=3), video("tiktok", SQUID, 60, "Ocean Lab", days=2.5), True),
    Pair("translated title", video("youtube", SQUID, 187, "a"), video("vimeo", "Riesenkalmar vor der Küste Japans gefilmt", 187, "b"), True, shown=False),
    Pair("typing error", video("youtube", SQUID, 187, "a"), video("vimeo", SQUID.replace("filmed", "flimed"), 187, "a"), True, shown=False),
)  # fmt: skip

EPISODE = "Building a wooden boat from scratch in the old harbour"
NEWS = "Evening news of the northern coast with weather and sport"
DIFFERENT = (
    Pair("part 1 and 2", video("youtube", f"{EPISODE} Part 1", 600, "a"), video("vimeo", f"{EPISODE} Part 2", 600, "a"), False),
    Pair("part in brackets", video("youtube", f"{EPISODE} (1/2)", 600, "a"), video("vimeo", f"{EPISODE} (2/2)", 600, "a"), False),
    Pair("part as a hashtag", video("tiktok", f"{EPISODE} #part1", 61, "a"), video("instagram", f"{EPISODE} #part2", 61, "a"), False),
    Pair("number sign", video("tiktok", f"{EPISODE} #11", 61, "a"), video("instagram", f"{EPISODE} #12", 61, "a"), False),
    Pair("episode code", video("youtube", f"{EPISODE} S01E02", 1320, "a"), video("dailymotion", f"{EPISODE} S01E03", 1320, "a"), False),
    Pair("roman numerals", video("youtube", f"{EPISODE} II", 600, "a"), video("vimeo", f"{EPISODE} III", 600, "a"), False),
    Pair("years", video("youtube", "Marathon of the northern islands highlights from the finish 2024", 600, "a"), video("vimeo", "Marathon of the northern islands highlights from the finish 2025", 600, "a"), False),
    Pair("Japanese episodes", video("youtube", "深海の巨大生物を追いかける旅 第1話", 600, "a"), video("bilibili", "深海の巨大生物を追いかける旅 第2話", 600, "a"), False),
    Pair("keycap numbers", video("tiktok", f"{EPISODE} 1️⃣", 61, "a"), video("instagram", f"{EPISODE} 2️⃣", 61, "a"), False),
    Pair("vowel signs tell words apart", video("youtube", "मुंबई में सबसे तीखा खाना मिला आज रात", 83, "a"), video("facebook", "मुंबई में सबसे तीखी खीना मिली आज रात", 83, "b"), False),
    Pair("same title, other length", video("youtube", SQUID, 187, "Ocean Lab"), video("tiktok", SQUID, 191, "Ocean Lab"), False),
    Pair("short cut of a long video", video("youtube", SQUID, 59, "Ocean Lab"), video("youtube", SQUID, 1187, "Ocean Lab"), False),
    Pair("trimmed by two seconds", video("youtube", SQUID, 62, "Ocean Lab"), video("instagram", SQUID, 60, "Ocean Lab"), False),
    Pair("compilation", video("youtube", SQUID, 61, "Ocean Lab"), video("youtube", f"{SQUID} and nine more encounters", 612, "Ocean Lab"), False),
    Pair("ten hour loop", video("youtube", SQUID, 61, "Ocean Lab"), video("youtube", f"{SQUID} 10 hours", 36000, "Ocean Lab"), False),
    Pair("ways", video("youtube", "Train ride Zurich to Milan via Gotthard", 2712, "a"), video("vimeo", "Train ride Zurich to Milan via Simplon", 2712, "a"), False),
    Pair("a bank", video("youtube", "How a small village bank once saved the giant credit suisse", 611, "a"), video("vimeo", "How a small village bank once saved the giant credit union", 611, "a"), False),
    Pair("a word and a credit", video("youtube", "Sourdough bread recipe credit suisse", 611, "a"), video("vimeo", "Sourdough bread recipe", 611, "a"), False),
    Pair("vlog", video("youtube", "vlog", 600, "a"), video("vimeo", "Vlog", 600, "a"), False),
    Pair("test", video("youtube", "test", 12, "a"), video("vimeo", "TEST", 12, "a"), False),
    Pair("untitled", video("youtube", "Untitled", 12, "a"), video("vimeo", "Untitled video", 12, "a"), False),
    Pair("live", video("twitch", "LIVE", 3600, "a"), video("youtube", "🔴 live", 3600, "a"), False),
    Pair("numbers only", video("tiktok", "2024 1234", 33, "a"), video("instagram", "2024 1234", 33, "a"), False),
    Pair("no title", video("tiktok", "", 33, "a"), video("instagram", "", 33, "a"), False),
    Pair("emoji only", video("tiktok", "😂😂", 33, "a"), video("instagram", "😂😂", 33, "a"), False),
    Pair("hashtags only", video("tiktok", "#fyp #viral #foryou", 33, "a"), video("instagram", "#fyp #viral #foryou", 33, "a"), False),
    Pair("day of a vlog", video("youtube", "My first day", 412, "a"), video("vimeo", "My first day", 412, "b"), False),
    Pair("generic words", video("youtube", "Best funny moments compilation", 601, "a"), video("dailymotion", "Best Funny Moments Compilation", 601, "b"), False),
    Pair("recipe of two cooks", video("youtube", "How to make sushi at home", 587, "a"), video("dailymotion", "How to make sushi at home", 587, "b"), False),
    Pair("facts of two channels, round", video("youtube", "Amazing facts about creatures of the deep sea", 60, "a"), video("tiktok", "Amazing facts about creatures of the deep sea", 60, "b"), False),
    Pair("stock clips", video("pexels", "Waves crashing on rocks", 15, "a"), video("pixabay", "Waves crashing on rocks", 15, "b"), False),
    Pair("stock clips, odd length", video("pexels", "Aerial view of the city at night", 13.3, "a"), video("pixabay", "Aerial view of the city at night", 13.4, "b"), False),
    Pair("lyrics and video", video("youtube", "Northern Tide - Paper Lanterns of the Winter Harbour (Official Video)", 221, "Northern Tide"), video("dailymotion", "Northern Tide - Paper Lanterns of the Winter Harbour (Lyrics)", 221, "Northern Tide"), False),
    Pair("live and studio", video("youtube", "Northern Tide - Paper Lanterns of the Winter Harbour", 221, "Northern Tide"), video("vimeo", "Northern Tide - Paper Lanterns of the Winter Harbour (live)", 221.5, "Northern Tide"), False),
    Pair("cover", video("youtube", "Paper Lanterns of the Winter Harbour by Northern Tide", 221, "Northern Tide"), video("vimeo", "Paper Lanterns of the Winter Harbour by Northern Tide (cover)", 221.5, "Ann"), False),
    Pair("remix", video("youtube", "Paper Lanterns of the Winter Harbour by Northern Tide", 221, "Northern Tide"), video("vimeo", "Paper Lanterns of the Winter Harbour by Northern Tide [remix]", 221.5, "Ann"), False),
    Pair("covers by two people", video("tiktok", "Paper Lanterns cover by @ann", 47, "ann"), video("tiktok", "Paper Lanterns cover by @bob", 47, "bob"), False),
    Pair("reaction", video("youtube", SQUID, 187, "a"), video("youtube", f"{SQUID} (reaction)", 187.5, "b"), False),
    Pair("trailer", video("youtube", f"{EPISODE} (trailer)", 61, "a"), video("vimeo", EPISODE, 61, "a"), False),
    Pair("dubbed, language told", video("youtube", SQUID, 187, "a", language="en"), video("vimeo", SQUID, 187, "a", language="ja"), False),
    Pair("dubbed, pictures alike", video("youtube", SQUID, 187, "a", language="en"), video("vimeo", SQUID, 187, "a", language="de"), False, (0x0F0F3C3C5A5A9669, 0x0F0F3C3C5A5A9669)),
    Pair("language in brackets", video("youtube", f"{SQUID} (English)", 187, "a"), video("vimeo", f"{SQUID} (Deutsch)", 187, "a"), False),
    Pair("subtitled version", video("youtube", SQUID, 187, "a"), video("vimeo", f"{SQUID} [ENG SUB]", 187, "a"), False),
    Pair("daily show on one platform", video("youtube", NEWS, 1800, "Coast TV", days=1), video("youtube", NEWS, 1800, "Coast TV", days=2), False),
    Pair("daily show, same day", video("youtube", NEWS, 1800.4, "Coast TV"), video("youtube", NEWS, 1800, "Coast TV"), False),
    Pair("weekly show on two platforms", video("youtube", "Harbour kitchen weekly", 600, "Coast TV", days=1), video("facebook", "Harbour kitchen weekly", 600.4, "Coast TV", days=8), False),
    Pair("weekly show, longer title", video("youtube", "Harbour kitchen weekly recipes", 597, "Coast TV", days=1), video("facebook", "Harbour kitchen weekly recipes", 597.4, "Coast TV", days=8), False),
    Pair("template picture, other titles", video("youtube", "Harbour kitchen: mussels in white wine", 600, "Coast TV"), video("facebook", "Harbour kitchen: herring in cream sauce", 600, "Coast TV"), False, (0x0F0F3C3C5A5A9669, 0x0F0F3C3C5A5A9669)),
    Pair("daily show, template picture", video("youtube", NEWS, 1799.7, "Coast TV", days=1), video("youtube", NEWS, 1799.4, "Coast TV", days=2), False, (0x0F0F3C3C5A5A9669, 0x0F0F3C3C5A5A9669)),
    Pair("weekly show, template picture", video("youtube", "Harbour kitchen weekly", 600, "Coast TV", days=1), video("facebook", "Harbour kitchen weekly", 600, "Coast TV", days=8), False, (0x0F0F3C3C5A5A9669, 0x0F0F3C3C5A5A9668)),
    Pair("same picture only", video("youtube", "Mussels", 600, "a"), video("facebook", "Herring", 600, "b"), False, (0x0F0F3C3C5A5A9669, 0x0F0F3C3C5A5A9669)),
    Pair("pictures unlike, five words", video("youtube", "Giant squid filmed near Japan coast", 187, None), video("vimeo", "Giant squid filmed near Japan coast", 187.4, "b"), False, (0x0F0F3C3C5A5A9669, 0x70F0C3C3A5A56996)),
    Pair("length not told", video("youtube", SQUID, None, "Ocean Lab"), video("vimeo", SQUID, 187, "Ocean Lab"), False),
    Pair("lengths not told", video("youtube", SQUID, None, "Ocean Lab"), video("vimeo", SQUID, None, "Ocean Lab"), False),
    Pair("too short", video("tiktok", SQUID, 3.2, "Ocean Lab"), video("vimeo", SQUID, 3.4, "Ocean Lab"), False),
    Pair("one word more", video("youtube", SQUID, 187, "a"), video("vimeo", f"{SQUID} again", 187, "a"), False),
    Pair("before and after", video("youtube", "Restoring a rusty lighthouse lamp before", 187, "a"), video("vimeo", "Restoring a rusty lighthouse lamp after", 187, "a"), False),
    Pair("left and right camera", video("youtube", f"{EPISODE} - camera A", 187, "a"), video("vimeo", f"{EPISODE} - camera B", 187, "a"), False),
    Pair("chess games", video("youtube", "World championship chess game 6 full analysis of the endgame", 900, "a"), video("dailymotion", "World championship chess game 7 full analysis of the endgame", 900, "a"), False),
    Pair("same game, two analysts", video("youtube", "World championship chess game 6 full analysis", 900, "a"), video("dailymotion", "World championship chess game 6 full analysis", 900, "b"), False),
)  # fmt: skip

PAIRS: tuple[Pair, ...] = (
    *(Pair(f"{a} = {b}", at(a, "web", id="a"), at(b, "elsewhere", id="b"), True) for a, b in ONE_ADDRESS),
    *(Pair(f"{a} / {b}", at(a, "web", id="a"), at(b, "elsewhere", id="b"), False) for a, b in TWO_ADDRESSES),
    *LINKED,
    *SAME_TITLE,
    *DIFFERENT,
)
