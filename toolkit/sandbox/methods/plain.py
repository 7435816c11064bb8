"""Methods that answer alike whatever they are told, and those that the sandbox has not."""

from typing import Any

from toolkit.sandbox.args import Args
from toolkit.sandbox.bot import Bot
from toolkit.sandbox.methods.registry import METHODS
from toolkit.sandbox.replies import bad_request

_IN_A_CHAT = """
approveChatJoinRequest banChatMember banChatSenderChat closeForumTopic closeGeneralForumTopic
declineChatJoinRequest deleteAllMessageReactions deleteChatPhoto deleteChatStickerSet deleteForumTopic
deleteMessageReaction editForumTopic editGeneralForumTopic hideGeneralForumTopic leaveChat promoteChatMember
removeChatVerification reopenForumTopic reopenGeneralForumTopic restrictChatMember sendMessageDraft
setChatAdministratorCustomTitle setChatDescription setChatMemberTag setChatPermissions setChatPhoto
setChatStickerSet setChatTitle unbanChatMember unbanChatSenderChat unhideGeneralForumTopic
unpinAllChatMessages unpinAllForumTopicMessages unpinAllGeneralForumTopicMessages unpinChatMessage verifyChat
"""

_ANYWHERE = """
addStickerToSet close createNewStickerSet deleteStickerFromSet deleteStickerSet logOut removeMyProfilePhoto
removeUserVerification replaceStickerInSet setCustomEmojiStickerSetThumbnail setMyProfilePhoto
setPassportDataErrors setStickerEmojiList setStickerKeywords setStickerMaskPosition setStickerPositionInSet
setStickerSetThumbnail setStickerSetTitle setUserEmojiStatus verifyUser
"""

_FIXED: dict[str, Any] = {
    "createInvoiceLink": "https://t.me/$sandbox",
    "getAvailableGifts": {"gifts": []},
    "getChatGifts": {"total_count": 0, "gifts": []},
    "getCustomEmojiStickers": [],
    "getForumTopicIconStickers": [],
    "getGameHighScores": [],
    "getMyStarBalance": {"amount": 0},
    "getStarTransactions": {"transactions": []},
    "getUserChatBoosts": {"boosts": []},
    "getUserGifts": {"total_count": 0, "gifts": []},
    "getUserPersonalChatMessages": [],
    "getUserProfileAudios": {"total_count": 0, "audios": []},
    "getUserProfilePhotos": {"total_count": 0, "photos": []},
}

ABSENT = """
approveSuggestedPost convertGiftToStars declineSuggestedPost deleteBusinessMessages deleteStory
editMessageChecklist editStory editUserStarSubscription getBusinessAccountGifts getBusinessAccountStarBalance
getBusinessConnection getManagedBotAccessSettings getManagedBotToken getStickerSet giftPremiumSubscription
postStory readBusinessMessage refundStarPayment removeBusinessAccountProfilePhoto replaceManagedBotToken
repostStory sendChecklist sendGift sendLivePhoto sendPaidMedia setBusinessAccountBio
setBusinessAccountGiftSettings setBusinessAccountName setBusinessAccountProfilePhoto
setBusinessAccountUsername setManagedBotAccessSettings transferBusinessAccountStars transferGift upgradeGift
"""
"""Real methods of paid, business and story features. They are refused in words of their own: a 404 would
tell python-telegram-bot that the token is wrong."""


def _in_a_chat(bot: Bot, args: Args) -> bool:
    bot.chats.resolve(args.text("chat_id"))
    return True


def _anywhere(_: Bot, __: Args) -> bool:
    return True


def _fixed(name: str) -> None:
    METHODS[name.lower()] = (name, lambda _, __: _FIXED[name])


def _absent(name: str) -> None:
    def refuse(_: Bot, __: Args) -> None:
        raise bad_request(f"the sandbox has no {name}")

    METHODS[name.lower()] = (name, refuse)


METHODS.update({name.lower(): (name, _in_a_chat) for name in _IN_A_CHAT.split()})
METHODS.update({name.lower(): (name, _anywhere) for name in _ANYWHERE.split()})
for _name in _FIXED:
    _fixed(_name)
for _name in ABSENT.split():
    _absent(_name)
