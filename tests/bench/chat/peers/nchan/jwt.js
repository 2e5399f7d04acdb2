/* jwt.js: the HS256 check for nchan_authorize_request; 200 lets in. */

var crypto = require('crypto');

function check(r) {
    var m = /[?&]token=([\w-]+\.([\w-]+))\.([\w-]+)/
        .exec(r.headersIn['X-Original-URI']);

    if (!m) {
        r.return(403);
        return;
    }

    var mac = crypto.createHmac('sha256', '@SECRET@').update(m[1])
        .digest('base64url');

    if (mac !== m[3]) {
        r.return(403);
        return;
    }

    var claims = JSON.parse(Buffer.from(m[2], 'base64url').toString());
    r.return(claims.exp * 1000 > Date.now() ? 200 : 403);
}

export default { check };
