/* text-en.js: what the page says in English.  text-id.js has the same keys;
 * tests/browser/texts.test.mjs compares them. */

export const en = {
    // ---- signing in
    signInTitle: "Writeen chat",
    signInLead: "This is a development server. Who are you?",
    signInAs: "Continue as {name}",
    signInOther: "Somebody else",
    signInName: "Name",
    signInId: "Id",
    signInRole: "Role",
    signInGo: "Continue",
    signInHint: "Each tab is a person of its own: open a second one as "
                + "somebody else and chat.",
    signInNone: "Nobody is signed in. Open the chat from your application, "
                + "which passes a token.",
    signInBad: "Letters, digits, - and _ only, at most 64.",
    signedInAs: "Signed in as {name}",
    signOut: "Sign out",
    student: "Student",
    tutor: "Tutor",
    admin: "Administrator",
    service: "Service",

    // ---- the list
    conversations: "Conversations",
    archived: "Archived",
    noConversations: "No conversation yet. Start one with the + above.",
    chooseOne: "Choose a conversation.",
    unread: "{n} unread messages",
    unreadOne: "1 unread message",
    you: "You: {text}",
    newConversation: "New conversation",
    draft: "Draft",

    // ---- the connection
    connecting: "Connecting…",
    reconnecting: "No connection. Messages are kept and sent when it is "
                  + "back.",
    tryNow: "Try now",
    expired: "Your sign-in has expired.",
    signInAgain: "Sign in again",

    // ---- presence
    online: "online",
    away: "away",
    busy: "busy",
    offline: "offline",
    lastSeen: "last seen {when}",
    isTyping: "{names} is typing…",
    areTyping: "{names} are typing…",
    members: "{n} people",
    setPresence: "My status",

    // ---- messages
    messages: "Messages",
    noMessages: "No messages yet. Say hello.",
    loadingMessages: "Loading messages…",
    loadFailed: "The messages could not be loaded.",
    again: "Try again",
    older: "Older messages",
    latest: "Newest messages",
    deleted: "This message was deleted.",
    edited: "edited",
    sending: "sending",
    sent: "sent",
    delivered: "delivered",
    read: "read",
    failed: "not sent",
    failedWhy: "Not sent: {why}",
    retry: "Send again",
    discard: "Discard",
    says: "{name}: {text}",
    today: "Today",
    yesterday: "Yesterday",
    back: "Back to the conversations",

    // ---- writing
    write: "Write a message",
    send: "Send",

    // ---- system messages
    sys_user_joined: "{name} joined.",
    sys_user_left: "{name} left.",
    sys_consultation_started: "The consultation has begun.",
    sys_consultation_ended: "The consultation has ended.",
    sys_file_shared: "{name} shared a file.",
    sys_other: "{name}: {action}",

    // ---- what a message is, where its text does not fit
    aSticker: "Sticker",
    aFile: "File",
    anImage: "Picture",

    // ---- looks
    language: "Bahasa Indonesia",
    theme: "Light, dark or as the system",
    themeNow_auto: "Colours: as the system",
    themeNow_light: "Colours: light",
    themeNow_dark: "Colours: dark",

    // ---- a new conversation
    withWhom: "With whom?",
    personId: "Id of a person",
    addPerson: "Add",
    removePerson: "Remove {name}",
    titleOptional: "Title (optional)",
    create: "Start",
    cancel: "Cancel",
    close: "Close",

    // ---- errors
    error_offline: "The server cannot be reached.",
    error_timeout: "The server did not answer in time.",
    error_rate_limited: "Too much at once. Wait a moment.",
    error_forbidden: "You may not do that here.",
    error_not_found: "It is not there any more.",
    error_conversation_archived: "This conversation is archived.",
    error_unavailable: "The server is busy. Try again in a moment.",
    error_unauthorized: "Your sign-in has expired.",
};
