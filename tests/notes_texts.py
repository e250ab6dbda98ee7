"""The texts of which tests/notes.py makes its messages, with names in braces for what differs."""

GIF = b"R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAEALAAAAAABAAEAAAICTAEAOw==\r\n"

VTIMEZONE = """\
BEGIN:VTIMEZONE
TZID:{zone}
BEGIN:STANDARD
DTSTART:19501029T020000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;BYMINUTE=0;BYHOUR=2;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19500326T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;BYMINUTE=0;BYHOUR=2;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
"""

WISL = (
    "$S:{time};$L:1;$B:{body};$R:{time};$E:{time};$W:1;$O:1;$M:1;RequiredAttendees:1;INetRequiredNames:1;AltRequiredNames:1;"
    "StorageRequiredNames:1;OptionalAttendees:1;INetOptionalNames:1;AltOptionalNames:1;StorageOptionalNames:1"
)

ITEMS = """\
X-Notes-Item: 1;
 name=$PublicAccess
X-Notes-Item: CN=Anna Brueckner/OU=Einkauf/O=Example;
 name=$AltPrincipal
X-Notes-Item: ;
 name=$LangPrincipal
X-Notes-Item: 1;
 name=$SMTPKeepNotesItems
X-Notes-Item: ;
 name=dspRepeatAdjust
X-Notes-Item: {count};
 name=txtNum
X-Notes-Item: {day:%m/%d/%Y};
 name=dspStart
X-Notes-Item: {count};
 name=dspNum
X-Notes-Item: Week(s);
 name=dspFor
X-Notes-Item: {last};
 type=400; name=lastDate
X-Notes-Item: 1;
 name=WebDateTimeInit
X-Notes-Item: Meeting;
 name=$IconSwitcher
X-Notes-Item: ;
 name=Alarms
X-Notes-Item: {last};
 type=400; name=$NoPurge
X-Notes-Item: Send[Local] by Notes Client on Anna Brueckner/Einkauf/Example(Release {release}|
 =?US-ASCII?Q?January_31=2C_2018=29_at_{stamp}_AM?=,
\tPrepareToSend[Local] by Notes Client on Anna Brueckner/Einkauf/Example(Release {release}|
 =?US-ASCII?Q?January_31=2C_2018=29_at_{stamp}_AM?=;
 type=501; name=$CSTrack
X-Notes-Item: {required};
 flags=44; name=REQUIREDATTENDEES
X-Notes-Item: {required};
 flags=44; name=AltRequiredNames
X-Notes-Item: .;
 flags=44; name=INetRequiredNames
X-Notes-Item: .;
 flags=44; name=StorageRequiredNames
To: {required}
X-Notes-Item: ;
 flags=45; name=INetCopyTo
X-Notes-Item: ;
 flags=44; name=INetBlindCopyTo
X-Notes-Item: .;
 name=$StorageTo
X-Notes-Item: ;
 name=$StorageCc
X-Notes-Item: 2031619;
 name=MIMEMailHeaderCharset
X-Notes-Item: 1;
 name=$HFFlags
X-Notes-Item: StdNotesLtr25;
 name=Logo
X-Notes-Item: de;
 name=$FromPreferredLanguage
X-Notes-Item: 7F96A3;
 name=$BorderColor
X-Notes-Item:  1 Hr.  ;
 name=dispDuration
X-Notes-Item: ;
 flags=44; name=OnlinePlace
X-Notes-Item: 0;
 name=IsBroadcast
X-Notes-Item: ;
 flags=44; name=Presenters
X-Notes-Item: ;
 name=AudioVideoFlags
X-Notes-Item: 3;
 name=$ExpandGroups
X-Notes-Item: ;
 name=Sign
X-Notes-Item: 1;
 name=Repeats
Subject: =?ISO-8859-1?Q?{prefix}Lieferantengespr=E4ch_Fr=FChjahr?=
 =?ISO-8859-1?Q?_=28{start}_in_Besprechungsraum_2=2E14=29?=
X-Notes-Item: Besprechungsraum 2.14;
 name=Location
X-Notes-Item: ;
 name=ConferenceCallInfo
MIME-Version: 1.0
X-Notes-Item: Memo;
 name=Form
X-Notes-Item: 1;
 name=$NoteContainsIcal
X-Notes-Item: {notice};
 name=NoticeType
X-Notes-Item: 1;
 name=SchedulerSwitcher
X-KeepSent: {keep};
 type=4; name=$KeepSent
X-Mailer: {mailer}
Message-ID: <OF{mark}.{unid}-ONC1258DA5.0042B1F3-C1258DA5.0042C8D1@example.org>
From: =?ISO-8859-1?Q?Anna_Br=FCckner?= <anna@example.org>
Date: {date}
X-Notes-Item: ;
 name=Encrypt
X-Notes-Item: CN=Anna Brueckner/OU=Einkauf/O=Example;
 type=501; flags=44; name=$UpdatedBy
X-Notes-Item: example.org;
 name=FromDomain
X-Notes-Item: 25;
 type=300; name=$Hops
X-MIMETrack: Serialize by Router on mail1/Server/Example(Release {release}|January 31, 2018) at
 {local:%m/%d/%Y %H:%M:%S},
\tSerialize complete at {local:%m/%d/%Y %H:%M:%S}
Content-Type: multipart/mixed; boundary="=_mixed {mark}_="

"""

HTML = """\
<html><body>
<table width="100%" border="0" cellspacing="0" cellpadding="0">
<tr valign="top"><td width="1%"><img src="cid:1__={cid}" border="0" height="1" width="12" alt=""><br>
</td><td width="100%"><font size="2" color="#4B6A85">Kalendereintrag</font><br>
<b>Lieferantengespräch Frühjahr</b><br>
Besprechungsraum 2.14</td></tr>
</table>
<p>Sehr geehrte Damen und Herren,</p>
<p>{body}</p>
<p>Freundliche Grüße<br>Anna Brückner</p>
</body></html>

"""

RICH = """\
<html><body><p><font size=2 face="sans-serif">Sehr geehrte Damen und Herren,</font>
<br>
<br><font size=2 color=blue face="sans-serif"><b>{body}</b></font>
<br>
<br><img src="cid:2__={cid}" alt="Logo">
<br><font size=2 face="sans-serif">Freundliche Grüße<br>Anna Brückner</font></p></body></html>

"""

TEXT = """\
{gap:72}
   Kalendereintrag{gap:54}
{gap:72}
   Lieferantengespräch Frühjahr                  Anna Brückner{gap:8}
{gap:72}
Sehr geehrte Damen und Herren,

{body}

Freundliche Grüße
Anna Brückner
"""
