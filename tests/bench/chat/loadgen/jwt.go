package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"
)

var jwtHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))

// mintJWT makes an HS256 token for one user. Several spellings of the user
// claim are included so that every peer finds the one it looks for.
func mintJWT(secret, user string) string {
	now := time.Now().Unix()
	c := fmt.Sprintf(`{"sub":%q,"userId":%q,"username":%q,"role":"student","name":%q,"iat":%d,"exp":%d}`, user, user, user, user, now, now+86400)
	s := jwtHeader + "." + base64.RawURLEncoding.EncodeToString([]byte(c))
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(s))
	return s + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}
