# SPDX-License-Identifier: MIT
#
# clean: takes out the paragraph macros that scdoc writes where there is nothing between them and a heading or the next one, and puts those
# at the end of an indented block behind it. The pages look the same, and a lint that would complain of each can find something else.

/^\.P$/ {
    has_paragraph = !after_heading
    next
}
/^\.RE$/ {
    print
    next
}
{
    if (has_paragraph && !/^\.(SH|SS) /) print ".P"
    has_paragraph = 0
    after_heading = /^\.(SH|SS|TH) /
    print
}
