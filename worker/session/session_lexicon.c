/*
 * session_lexicon.c: words with a part in a conversation, Indonesian and
 * English.
 *
 * Folded as words.c folds (don't: dont), sorted by bytes.  What each letter
 * stands for is in session_internal.h.
 */

#include <stdlib.h>
#include <string.h>

#include "worker/session/session_internal.h"

#define S  SESSION_STOP
#define T  SESSION_TITLE
#define O  SESSION_OPEN
#define K  SESSION_ACK
#define A  SESSION_ANSWER
#define W  SESSION_WH
#define P  SESSION_PAST
#define N  SESSION_NOT
#define I  SESSION_IF
#define Y  SESSION_YOU
#define D  SESSION_DOID
#define E  SESSION_DOEN
#define F  SESSION_SELFID
#define X  SESSION_NOTSELF
#define L  SESSION_LETEN
#define C  SESSION_INCHAT
#define R  SESSION_LATER

typedef struct {
    const char  *word;
    unsigned     flags;
} lexicon_t;


static const lexicon_t  lexicon[] = {
    { "a", S }, { "about", S }, { "above", S }, { "absolutely", S },
    { "actually", S }, { "ada", S }, { "adalah", S }, { "adanya", S },
    { "add", S | E }, { "adds", S }, { "after", S }, { "afternoon", S },
    { "again", S }, { "against", S }, { "agak", S }, { "agar", S },
    { "ago", S }, { "agree", S }, { "agreed", S }, { "agustus", S },
    { "ah", S | O }, { "aja", S }, { "ajukan", S | X }, { "akan", S },
    { "akhiri", D }, { "aku", S }, { "alias", S }, { "all", S },
    { "allow", S }, { "almost", S }, { "already", S },
    { "alright", S | O | K }, { "also", S | O }, { "although", S },
    { "always", S | A }, { "am", S }, { "ambil", D }, { "ampun", S },
    { "an", S }, { "and", S | O }, { "anda", S | Y }, { "another", S },
    { "antara", S }, { "any", S }, { "anyone", S }, { "anything", S },
    { "apa", S | W }, { "apabila", S | I }, { "apakah", S | W | I },
    { "apalagi", S }, { "appreciate", S }, { "april", S }, { "are", S },
    { "arent", S }, { "around", S }, { "as", S }, { "asal", S },
    { "ask", S | E | L }, { "asked", S }, { "at", S }, { "atas", S },
    { "atau", S }, { "attach", E }, { "august", S }, { "awal", S },
    { "awali", D }, { "awalnya", S }, { "away", S }, { "awesome", S },
    { "baca", D }, { "back", S }, { "bagai", S }, { "bagaimana", S | W },
    { "bagaimanakah", S }, { "bagi", S }, { "bagikan", D | F },
    { "bahkan", S }, { "bahwa", S }, { "baik", S | O | K },
    { "baiklah", S | O | K }, { "bang", T }, { "banget", S }, { "bantu", S },
    { "banyak", S | K }, { "bapak", S | T | Y }, { "baru", S },
    { "barusan", P }, { "bawa", D }, { "bawah", S }, { "bayangkan", X },
    { "be", S | K }, { "beberapa", S }, { "became", S }, { "because", S },
    { "become", S }, { "been", S }, { "before", S }, { "begin", S },
    { "begini", S }, { "begitu", S | O }, { "being", S }, { "belom", S },
    { "below", S }, { "belum", S | A | P }, { "benar", S | A },
    { "berapa", S | W }, { "berarti", S }, { "berbagai", S }, { "berikut", S },
    { "berikutnya", S | O }, { "bersama", S }, { "besar", S }, { "besok", O },
    { "best", S }, { "better", S }, { "betul", S | A }, { "between", S },
    { "bgt", S }, { "biar", S }, { "biasa", S }, { "biasanya", S },
    { "bila", S | I }, { "bilang", S }, { "bisa", S | A }, { "bisakah", S },
    { "bit", S }, { "blm", S | A | P }, { "boleh", S | A }, { "bolehkah", S },
    { "both", S }, { "bring", S | E }, { "broad", S }, { "bs", S },
    { "bsa", S }, { "bu", S | T | Y }, { "buat", S | D | F },
    { "buatkan", D | F }, { "buka", S }, { "bukan", S | A | N },
    { "bukannya", S }, { "bulan", S }, { "but", S | O }, { "butuh", S },
    { "by", S }, { "bye", S }, { "call", S }, { "came", S }, { "can", S },
    { "cannot", S | N }, { "cant", S }, { "cantumkan", S | D }, { "cara", S },
    { "cari", S | D | F }, { "carikan", F }, { "catat", S | K },
    { "cek", D | F }, { "certainly", S }, { "change", S }, { "check", S | L },
    { "cite", S | E }, { "clarify", E | C }, { "clear", S }, { "coba", S | F },
    { "cocok", S }, { "come", S }, { "comes", S }, { "complete", E },
    { "contact", L }, { "contoh", S }, { "cool", S | K }, { "correct", A | E },
    { "could", S }, { "couldnt", S }, { "course", A }, { "cukup", S | A },
    { "cuma", S }, { "daftarkan", D | F }, { "dahulu", S }, { "dalam", S },
    { "dan", S | O }, { "dapat", S }, { "dapatkah", S }, { "dari", S },
    { "daripada", S }, { "datang", S }, { "day", S }, { "days", S },
    { "december", S }, { "definitely", S | A }, { "deh", S }, { "dekat", S },
    { "delapan", S }, { "delete", E }, { "demi", S }, { "demikian", S },
    { "dengan", S }, { "dengar", C }, { "depan", S }, { "department", S },
    { "describe", E }, { "desember", S }, { "dg", S }, { "dgn", S },
    { "di", S }, { "dia", S }, { "did", S }, { "didnt", S },
    { "different", S }, { "dik", T }, { "dipakai", S }, { "diri", S },
    { "dl", S }, { "dlm", S }, { "do", S | K }, { "doang", S }, { "does", S },
    { "doesnt", S }, { "doing", S }, { "dokumen", S }, { "done", S },
    { "dong", S }, { "dont", S }, { "down", S }, { "dr", S | T }, { "drs", T },
    { "dua", S }, { "due", S }, { "dulu", S | R }, { "during", S },
    { "each", S }, { "early", S }, { "easy", S }, { "edisi", S },
    { "eight", S }, { "either", S }, { "else", S }, { "email", L },
    { "empat", S }, { "enam", S }, { "end", S }, { "engga", S },
    { "enggak", S | A | N }, { "enjoy", S }, { "enough", S }, { "entah", S },
    { "esok", S }, { "especially", S }, { "etc", S }, { "even", S },
    { "evening", S }, { "ever", S }, { "every", S }, { "everything", S },
    { "exactly", S | O | A }, { "example", S }, { "expect", S },
    { "explain", E | C }, { "far", S }, { "februari", S }, { "february", S },
    { "fellow", S }, { "few", S }, { "finally", S | O }, { "find", S | L },
    { "fine", S | K }, { "finish", E }, { "first", S | O }, { "fit", S },
    { "fits", S }, { "five", S }, { "fix", S | E | L }, { "fixed", S },
    { "follow", S }, { "following", S }, { "for", S }, { "forward", L },
    { "found", S }, { "four", S }, { "friday", S }, { "from", S },
    { "further", S }, { "ga", S | A | N }, { "gak", S | A | N },
    { "ganti", D | F }, { "gave", S }, { "get", S | L }, { "gets", S },
    { "getting", S }, { "gimana", S | W }, { "gini", S }, { "gitu", S },
    { "give", S }, { "given", S }, { "gives", S }, { "glad", S },
    { "gmn", S | W }, { "go", S }, { "goes", S }, { "going", S },
    { "gone", S }, { "good", S | O | K }, { "goodbye", S }, { "got", S | K },
    { "great", S | O | K }, { "gunain", S }, { "gunakan", S }, { "had", S },
    { "hadnt", S }, { "hai", S | O }, { "hal", S }, { "halo", S | O },
    { "hampir", S }, { "hanya", S }, { "happy", S }, { "hapus", D },
    { "harap", S }, { "harapkan", X }, { "hardly", S }, { "hari", S | O },
    { "harus", S }, { "has", S }, { "hasilnya", S }, { "hasnt", S },
    { "have", S }, { "havent", S }, { "having", S }, { "he", S },
    { "hear", S | C }, { "hello", S | O }, { "help", S }, { "helpful", S | K },
    { "helps", S }, { "hendak", S }, { "her", S }, { "here", S },
    { "hers", S }, { "hey", S | O }, { "hi", S | O }, { "him", S },
    { "hindari", D }, { "hingga", S }, { "his", S }, { "hm", S }, { "hmm", S },
    { "hope", S }, { "hopefully", S }, { "how", S | W }, { "however", S | O },
    { "hubungi", D | F }, { "i", S }, { "ia", S }, { "ialah", S },
    { "ibu", S | T | Y }, { "id", S }, { "if", S | I }, { "ikut", S },
    { "ikuti", D }, { "ill", S }, { "im", S }, { "in", S },
    { "include", S | E }, { "includes", S }, { "indeed", S }, { "ingin", S },
    { "ini", S | O }, { "instead", S }, { "into", S }, { "is", S },
    { "isi", D }, { "isnt", S }, { "it", S | K }, { "its", S },
    { "itself", S }, { "itu", S | O }, { "ive", S }, { "iya", S | O | K | A },
    { "jadi", S | O }, { "jadikan", S }, { "jadwalkan", D | F }, { "jam", S },
    { "jangan", S | A }, { "jangankan", S }, { "januari", S },
    { "january", S }, { "jauh", S }, { "jawab", S }, { "jelas", S },
    { "jelaskan", D | C }, { "jg", S }, { "jgn", S }, { "jika", S | I },
    { "jikalau", S | I }, { "juga", S | O }, { "juli", S }, { "july", S },
    { "jumat", S }, { "jumlah", S }, { "june", S }, { "juni", S },
    { "just", S }, { "justru", S }, { "ka", S }, { "kabar", S },
    { "kabari", F }, { "kah", W }, { "kak", S | T | Y },
    { "kakak", S | T | Y }, { "kalau", S | O | I }, { "kalian", Y },
    { "kalo", S | I }, { "kami", S }, { "kamis", S }, { "kamu", S | Y },
    { "kan", S }, { "kapan", S | W }, { "karena", S }, { "kasih", S | O | K },
    { "kata", S }, { "katakan", X }, { "katanya", S }, { "kaya", S },
    { "kayak", S }, { "ke", S }, { "kecil", S }, { "kecuali", S },
    { "kedua", O }, { "keep", S }, { "kemarin", S | P }, { "kembali", S },
    { "kemudian", S | O }, { "kenapa", S | W }, { "kepada", S },
    { "kerjakan", D | F }, { "kesulitan", S }, { "ketiga", O },
    { "ketika", S }, { "kind", S }, { "kindly", S }, { "kira", S },
    { "kiranya", S }, { "kirim", S | D | F }, { "kirimkan", S | D | F },
    { "kita", S }, { "kl", S }, { "klo", S }, { "know", S }, { "knp", S | W },
    { "ko", S }, { "kok", S }, { "konsultasikan", D }, { "kosong", S },
    { "krn", S }, { "kuat", S }, { "kurang", S }, { "kurangi", D },
    { "kyk", S }, { "lagi", S | O }, { "lah", S }, { "lain", S },
    { "lalu", S | O }, { "lama", S }, { "lampirkan", S | D | X },
    { "lanjut", S }, { "last", S }, { "lastly", O }, { "late", S },
    { "later", S | O | R }, { "least", S }, { "lebih", S }, { "left", S },
    { "lengkap", S }, { "lengkapi", D | F }, { "less", S }, { "let", S },
    { "lets", S }, { "lewat", S }, { "lg", S }, { "lho", S }, { "libur", S },
    { "lihat", S | C }, { "like", S }, { "lima", S }, { "little", S },
    { "ll", S }, { "loh", S }, { "long", S }, { "look", S | L },
    { "looking", S }, { "looks", S }, { "lot", S }, { "lots", S },
    { "lusa", S | O }, { "maaf", S | O }, { "maam", S | T }, { "macam", S },
    { "madam", S | T }, { "made", S }, { "maka", S }, { "makanya", S },
    { "makasih", S | O | K }, { "make", S }, { "makes", S }, { "makin", S },
    { "making", S }, { "maksud", S }, { "maksudkan", X }, { "maksudnya", S },
    { "malah", S }, { "malam", S | O }, { "mam", S | T }, { "mana", S | W },
    { "manakah", S }, { "mantap", K }, { "many", S }, { "march", S },
    { "maret", S }, { "mari", S }, { "mas", S | T | Y }, { "masih", S | A },
    { "masing", S }, { "masuk", S }, { "mau", S }, { "maupun", S },
    { "may", S }, { "maybe", S }, { "mbak", S | T | Y }, { "me", S },
    { "mean", S }, { "means", S }, { "meet", S }, { "mei", S },
    { "melainkan", S }, { "melalui", S }, { "melihat", S }, { "memang", S },
    { "membuat", S }, { "mengapa", S | W }, { "mengenai", S },
    { "menjadi", S }, { "mention", S }, { "menurut", S }, { "mepet", S },
    { "mereka", S }, { "merupakan", S }, { "meski", S }, { "meskipun", S },
    { "mesti", S }, { "met", S }, { "might", S }, { "mine", S },
    { "minggu", S }, { "minta", S }, { "minute", S }, { "minutes", S },
    { "misal", S }, { "misalnya", S }, { "miss", S | T }, { "missing", S },
    { "mohon", S }, { "moment", S }, { "monday", S }, { "month", S },
    { "months", S }, { "more", S }, { "morning", S }, { "most", S },
    { "mostly", S }, { "move", S | E }, { "mr", S | T }, { "mrs", S | T },
    { "ms", S | T }, { "much", S }, { "mulai", S }, { "mungkin", S },
    { "mungkinkah", S }, { "must", S }, { "my", S }, { "myself", S },
    { "nah", S | O }, { "namun", S }, { "nanti", S | O | R }, { "near", S },
    { "need", S }, { "needed", S }, { "needs", S }, { "never", S | A | N },
    { "next", S | O }, { "ngga", S }, { "nggak", S | A | N },
    { "nice", S | K }, { "nih", S }, { "nine", S }, { "no", S | A },
    { "none", S }, { "nope", S | A }, { "nor", S }, { "normal", S },
    { "not", S | A | N }, { "note", S }, { "noted", S | K }, { "nothing", S },
    { "november", S }, { "now", S | O }, { "number", S }, { "nya", S },
    { "october", S }, { "of", S | A }, { "off", S }, { "often", S },
    { "oh", S | O }, { "ok", S | O | K }, { "okay", S | O | K },
    { "oke", S | O | K }, { "oktober", S }, { "olah", S }, { "old", S },
    { "older", S }, { "oleh", S }, { "on", S }, { "once", S | I },
    { "one", S }, { "ones", S }, { "only", S }, { "open", S },
    { "opening", S }, { "or", S }, { "orang", S }, { "other", S },
    { "others", S }, { "our", S }, { "ours", S }, { "out", S }, { "over", S },
    { "own", S }, { "pada", S }, { "padahal", S }, { "pagi", S | O },
    { "paham", S }, { "pak", S | T | Y }, { "pakai", S }, { "pake", S },
    { "paling", S }, { "para", S }, { "part", S }, { "pasti", S },
    { "pastikan", D }, { "paying", S }, { "pays", S }, { "pelajari", D | F },
    { "penting", S }, { "people", S }, { "per", S }, { "perbaiki", D | F },
    { "perbarui", D }, { "perfect", S | O | K }, { "perhaps", S },
    { "perhatikan", D }, { "periksa", D | F }, { "perlu", S | A },
    { "permisi", S }, { "pernah", S | A | P }, { "persen", S },
    { "pertama", S | O }, { "pikirkan", X }, { "pindahkan", D },
    { "pisahkan", D }, { "plan", S }, { "planning", S }, { "please", S },
    { "plus", S }, { "possible", S }, { "prepare", E | L }, { "pretty", S },
    { "probably", S }, { "problem", S }, { "prof", S | T }, { "profesor", T },
    { "professor", S | T }, { "pukul", S }, { "pun", S }, { "punya", S },
    { "put", S | E }, { "quite", S }, { "rabu", S }, { "rapikan", D | F },
    { "rasa", S }, { "rasakan", X }, { "rasanya", S }, { "rather", S },
    { "re", S }, { "read", S | E }, { "reader", S }, { "reading", S },
    { "reads", S }, { "ready", S }, { "really", S }, { "receive", S },
    { "remove", E }, { "rencananya", S }, { "repeat", C }, { "replace", E },
    { "returned", S }, { "revise", E }, { "revisi", F }, { "revisikan", D },
    { "rewrite", E }, { "right", S | O | K }, { "ruang", S }, { "saat", S },
    { "sabtu", S }, { "said", S }, { "saja", S }, { "salam", S },
    { "saling", S }, { "sama", S | K }, { "sambil", S }, { "same", S },
    { "sampai", S }, { "samping", S }, { "sana", S }, { "sangat", S },
    { "sarankan", X }, { "satu", S | O }, { "saturday", S }, { "saw", S },
    { "say", S }, { "saya", S | K }, { "says", S }, { "schedule", L },
    { "sdh", S | A | P }, { "se", S }, { "seandainya", I }, { "sebab", S },
    { "sebabnya", S }, { "sebagai", S }, { "sebagaimana", S },
    { "sebaiknya", S }, { "sebelum", S }, { "sebelumnya", S | O },
    { "sebenarnya", S }, { "sebentar", S | R }, { "seberapa", S | W },
    { "sebuah", S }, { "sebutkan", X }, { "secara", S }, { "second", S | O },
    { "sedang", S }, { "sedangkan", S }, { "sedikit", S }, { "see", S | C },
    { "seem", S }, { "seems", S }, { "seen", S }, { "segala", S },
    { "segera", S }, { "sehingga", S }, { "sejak", S }, { "sekali", S },
    { "sekarang", S | O }, { "sekilas", S }, { "sekitar", S }, { "selagi", S },
    { "selain", S | O }, { "selalu", S }, { "selama", S },
    { "selamat", S | O }, { "selanjutnya", S | O }, { "selasa", S },
    { "selesai", S }, { "seluruh", S }, { "semangat", S }, { "sembilan", S },
    { "sementara", S }, { "sempat", S | P }, { "sempurnakan", D },
    { "semua", S }, { "semuanya", S }, { "send", S | E | L }, { "sending", S },
    { "sendiri", S }, { "senin", S }, { "sent", S }, { "seolah", S },
    { "seorang", S }, { "sepanjang", S }, { "seperti", S }, { "september", S },
    { "sepuluh", S }, { "sering", S }, { "serta", S }, { "sertakan", D },
    { "sesuai", S }, { "sesuatu", S }, { "sesudah", S }, { "setelah", S },
    { "setiap", S }, { "seven", S }, { "several", S }, { "shall", S },
    { "share", S | E | F | L }, { "she", S }, { "shorten", E },
    { "should", S }, { "shouldnt", S }, { "show", S }, { "siang", S | O },
    { "siap", S | O | K }, { "siapa", S | W }, { "siapakah", S },
    { "siapkan", D | F }, { "sih", S }, { "silahkan", S }, { "silakan", S },
    { "simpan", D }, { "simply", S }, { "since", S }, { "sip", K },
    { "sir", S | T }, { "six", S }, { "sm", S }, { "so", S | O },
    { "soal", S }, { "some", S }, { "somehow", S }, { "someone", S },
    { "something", S }, { "sometimes", S }, { "soon", S }, { "sore", S | O },
    { "sorry", S }, { "start", S }, { "started", S }, { "starting", S },
    { "stay", S }, { "stays", S }, { "still", S }, { "stop", S },
    { "stopped", S }, { "strengthens", S }, { "submit", S | E },
    { "submitted", S }, { "such", S }, { "sudah", S | A | P },
    { "suggest", S }, { "suggestion", S }, { "sunday", S }, { "sungguh", S },
    { "supaya", S }, { "sure", S | O | K | A }, { "sy", S }, { "tadi", S | P },
    { "tahu", S }, { "tahun", S }, { "tak", S | N }, { "take", S },
    { "takes", S }, { "talk", S | L }, { "tambah", S },
    { "tambahkan", S | D | F }, { "tanggal", S }, { "tanpa", S },
    { "tanyakan", F }, { "tapi", S | O }, { "tdk", S | A | N },
    { "telah", S | P }, { "tell", S | C }, { "temukan", X }, { "ten", S },
    { "tentang", S }, { "tentu", S | A }, { "tentunya", S }, { "tepat", S },
    { "terakhir", S | O }, { "teramat", S }, { "tergantung", S },
    { "terhadap", S }, { "terima", S | O | K }, { "terlalu", S },
    { "termasuk", S }, { "ternyata", S }, { "tersebut", S }, { "tertentu", S },
    { "terus", S | O }, { "terutama", S }, { "tetap", S }, { "tetapi", S | O },
    { "than", S }, { "thank", S | O | K }, { "thanks", S | O | K },
    { "that", S | K }, { "thats", S }, { "the", S }, { "their", S },
    { "theirs", S }, { "them", S }, { "themselves", S }, { "then", S | O },
    { "there", S }, { "therefore", S }, { "theres", S }, { "these", S },
    { "they", S }, { "theyre", S }, { "thing", S }, { "things", S },
    { "think", S }, { "thinking", S }, { "third", O }, { "this", S },
    { "those", S }, { "though", S }, { "thought", S }, { "three", S },
    { "through", S }, { "throughout", S }, { "thursday", S }, { "thus", S },
    { "tiap", S }, { "tiba", S }, { "tidak", S | A | N }, { "tidakkah", S },
    { "tiga", S }, { "time", S }, { "to", S }, { "today", S | O },
    { "together", S }, { "toh", S }, { "told", S }, { "tolong", S },
    { "tomorrow", S | O }, { "tonight", S | O }, { "too", S }, { "took", S },
    { "total", S }, { "toward", S }, { "tp", S }, { "tried", S }, { "trs", S },
    { "true", S }, { "trus", S }, { "try", S }, { "trying", S }, { "tsb", S },
    { "tuesday", S }, { "tuh", S }, { "tujuh", S }, { "tulis", D },
    { "tunggu", S }, { "turut", S }, { "two", S }, { "ubah", D | F },
    { "udah", S | A | P }, { "udh", S | P }, { "ujar", S }, { "ulangi", C },
    { "umum", S }, { "under", S }, { "understand", S },
    { "understood", S | K }, { "unggah", D | F }, { "unless", S | I },
    { "until", S }, { "untuk", S | O }, { "up", S }, { "update", L },
    { "upload", S | E | F | L }, { "upon", S }, { "uraikan", D }, { "us", S },
    { "usah", S }, { "usahakan", F }, { "use", S }, { "used", S },
    { "useful", S }, { "uses", S }, { "using", S }, { "usually", S },
    { "utama", S }, { "utk", S }, { "ve", S }, { "very", S | K }, { "via", S },
    { "wah", S | K }, { "waktu", S }, { "walau", S }, { "walaupun", S },
    { "want", S }, { "wants", S }, { "was", S }, { "wasnt", S }, { "way", S },
    { "we", S }, { "wednesday", S }, { "week", S }, { "weeks", S },
    { "welcome", S }, { "well", S | O }, { "went", S }, { "were", S },
    { "werent", S }, { "what", S | W }, { "whats", S | W },
    { "when", S | W | I }, { "where", S | W }, { "whether", S | I },
    { "which", S | W }, { "while", S }, { "who", S | W }, { "whole", S },
    { "whom", S | W }, { "whose", S | W }, { "why", S | W }, { "will", S | K },
    { "wish", S }, { "with", S }, { "within", S }, { "without", S },
    { "wonderful", S | K }, { "wont", S | N }, { "work", S }, { "works", S },
    { "would", S | K }, { "wouldnt", S }, { "write", S | E | L },
    { "writing", S }, { "wrong", S }, { "ya", S | O | K | A },
    { "yah", S | K }, { "yaitu", S }, { "yakni", S }, { "yang", S },
    { "yeah", S | O | A }, { "year", S }, { "years", S }, { "yep", S | O | A },
    { "yes", S | O | A }, { "yesterday", S }, { "yet", S }, { "yg", S },
    { "you", S | O | K | Y }, { "youll", S }, { "your", S }, { "youre", S },
    { "yours", S }, { "yourself", S }
};


static int
lexicon_cmp(const void *a, const void *b)
{
    const char       *word = a;
    const lexicon_t  *entry = b;

    return strcmp(word, entry->word);
}


unsigned
session_word(const char *word)
{
    const lexicon_t  *found;

    found = bsearch(word, lexicon, sizeof(lexicon) / sizeof(lexicon[0]),
                    sizeof(lexicon[0]), lexicon_cmp);

    return found ? found->flags : 0;
}


const char *
session_lexicon(size_t i)
{
    return i < sizeof(lexicon) / sizeof(lexicon[0]) ? lexicon[i].word : NULL;
}
